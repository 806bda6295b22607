"""What a savings check hands back: recommendations with their evidence, and what it could not answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workers.focus.amounts import ZERO, decimal_text

if TYPE_CHECKING:
    from decimal import Decimal

MAX_ROW_IDS = 20
"""Row ids given with a recommendation; the number of further ones is given beside them."""
MAX_RECOMMENDATIONS = 20
"""Recommendations in the result, those of the highest saving; the others are counted and summed."""
MAX_GROUPS = 5_000
"""Subjects a check holds in memory."""


@dataclass(slots=True)
class Evidence:
    """The rows something follows from: their sum, how many they are, and the ids of the first ones."""

    cost: Decimal = ZERO
    count: int = 0
    first_rows: list[int] = field(default_factory=list)

    def add(self, row: int, cost: Decimal) -> None:
        """Count a row and its cost."""
        self.cost += cost
        self.count += 1
        if len(self.first_rows) < MAX_ROW_IDS:
            self.first_rows.append(row)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A saving that follows from named rows by a stated formula."""

    type: str
    subject: dict[str, str | None]
    saving: Decimal
    formula: str
    inputs: dict[str, Any]
    """The numbers the formula takes, as decimal strings."""
    evidence: Evidence

    def describe(self) -> dict[str, Any]:
        """Return the JSON of it."""
        return {
            "type": self.type,
            "subject": self.subject,
            "saving": decimal_text(self.saving),
            "formula": self.formula,
            "inputs": self.inputs,
            "row_ids": self.evidence.first_rows,
            "row_ids_left_off": self.evidence.count - len(self.evidence.first_rows),
        }


@dataclass(frozen=True, slots=True)
class CheckReport:
    """One check's outcome; `insufficient` says why the input supports no answer, or only a part of one."""

    type: str
    recommendations: list[Recommendation] = field(default_factory=list)
    insufficient: str | None = None

    @property
    def has_answer(self) -> bool:
        """Whether the check could say anything, be it that there is nothing to save."""
        return self.insufficient is None or bool(self.recommendations)


def describe_savings(reports: list[CheckReport], reasons: dict[str, str]) -> dict[str, Any]:
    """Return `potential_savings` and the recommendations behind it; `reasons` takes why some are missing.

    The checks share no row, so their savings add up.
    """
    found = sorted(
        (item for report in reports for item in report.recommendations),
        key=lambda item: (-item.saving, item.type, item.evidence.first_rows),
    )
    rest = found[MAX_RECOMMENDATIONS:]
    reasons.update(
        {f"recommendations.{item.type}": item.insufficient for item in reports if item.insufficient}
    )
    answered = any(report.has_answer for report in reports)
    if not answered:
        reasons["potential_savings"] = "no check of recommendations has the data it needs"
    return {
        "potential_savings": decimal_text(sum((item.saving for item in found), ZERO)) if answered else None,
        "recommendations": [item.describe() for item in found[:MAX_RECOMMENDATIONS]],
        "recommendations_left_off": {
            "count": len(rest),
            "saving": decimal_text(sum((item.saving for item in rest), ZERO)),
        },
    }
