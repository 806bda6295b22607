"""How much of the usage commitment discounts cover, and how much of the commitments is used.

Coverage = ListCost of usage charged to a commitment ÷ ListCost of that and of all standard-priced usage.
List cost is the one measure in which both sides have the same price. FOCUS 1.0 does not say which usage a
commitment could cover, so the denominator holds all of it: real coverage is this figure or higher.
Utilization = EffectiveCost of the Used rows ÷ EffectiveCost of the Used and Unused rows.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workers.focus.amounts import ZERO, decimal_text, percentage_text

if TYPE_CHECKING:
    from decimal import Decimal

    from workers.focus.charge import Charge

COVERAGE_COLUMNS = ("ChargeCategory", "PricingCategory", "CommitmentDiscountId", "CommitmentDiscountStatus")
TOP_COMMITMENTS = 25
MAX_COMMITMENTS = 20_000


@dataclass(slots=True)
class _Commitment:
    type: str | None
    used: Decimal = ZERO
    unused: Decimal = ZERO
    rows: int = 0


@dataclass(slots=True)
class CommitmentUse:
    """Sums over usage charges; `add` takes every charge of the period."""

    covered_list: Decimal = ZERO
    on_demand_list: Decimal = ZERO
    used: Decimal = ZERO
    unused: Decimal = ZERO
    usage_rows: int = 0
    unpriced_rows: int = 0
    """Rows of either side without a ListCost."""
    unamortized_rows: int = 0
    """Rows of a commitment without an EffectiveCost."""
    commitments: dict[str, _Commitment] = field(default_factory=dict)

    def add(self, charge: Charge) -> None:
        """Count a charge if it is usage under a commitment, or standard-priced usage."""
        if charge.charge_category != "Usage":
            return
        status = charge.commitment_discount_status
        if status == "Used":
            self.covered_list += self._list_cost(charge)
            self.used += self._amortized(charge)
        elif status == "Unused":
            self.unused += self._amortized(charge)
        elif charge.pricing_category == "Standard" and charge.commitment_discount_id is None:
            self.on_demand_list += self._list_cost(charge)

    def _list_cost(self, charge: Charge) -> Decimal:
        self.usage_rows += 1
        if charge.list_cost is None:
            self.unpriced_rows += 1
            return ZERO
        return charge.list_cost

    def _amortized(self, charge: Charge) -> Decimal:
        cost = charge.effective_cost
        if cost is None:
            self.unamortized_rows += 1
            cost = ZERO
        key = charge.commitment_discount_id
        if key is not None and (key in self.commitments or len(self.commitments) < MAX_COMMITMENTS):
            commitment = self.commitments.setdefault(key, _Commitment(charge.commitment_discount_type))
            commitment.rows += 1
            if charge.commitment_discount_status == "Used":
                commitment.used += cost
            else:
                commitment.unused += cost
        return cost


def describe_commitments(
    use: CommitmentUse, reasons: dict[str, str], missing: frozenset[str]
) -> dict[str, Any] | None:
    """Return coverage and utilization; what cannot be answered is null, its reason added to `reasons`."""
    absent = [column for column in COVERAGE_COLUMNS if column in missing]
    if absent:
        reasons["commitment_coverage"] = f"the input has no column {', '.join(absent)}"
        return None
    return {
        "coverage_percentage": _coverage(use, reasons),
        "covered_list_cost": decimal_text(use.covered_list),
        "on_demand_list_cost": decimal_text(use.on_demand_list),
        "utilization_percentage": _utilization(use, reasons),
        "used_effective_cost": decimal_text(use.used),
        "unused_effective_cost": decimal_text(use.unused),
        "commitments": [_described(key, commitment) for key, commitment in _largest(use)],
        "commitments_left_off": max(0, len(use.commitments) - TOP_COMMITMENTS),
    }


def _coverage(use: CommitmentUse, reasons: dict[str, str]) -> str | None:
    whole = use.covered_list + use.on_demand_list
    if use.unpriced_rows:
        reason = f"{use.unpriced_rows} of {use.usage_rows} usage rows have no ListCost"
    elif whole <= 0:
        reason = "no committed or standard-priced usage with a ListCost above 0 is in the period"
    else:
        return percentage_text(use.covered_list, whole)
    reasons["commitment_coverage.coverage_percentage"] = reason
    return None


def _utilization(use: CommitmentUse, reasons: dict[str, str]) -> str | None:
    whole = use.used + use.unused
    if use.unamortized_rows:
        reason = f"{use.unamortized_rows} rows of commitments have no EffectiveCost"
    elif not use.commitments:
        reason = "no row of the period is charged to a commitment"
    elif whole <= 0:
        reason = (
            "the rows charged to commitments have no EffectiveCost above 0: their price is not in the data"
        )
    else:
        return percentage_text(use.used, whole)
    reasons["commitment_coverage.utilization_percentage"] = reason
    return None


def _largest(use: CommitmentUse) -> list[tuple[str, _Commitment]]:
    def order(item: tuple[str, _Commitment]) -> tuple[Decimal, str]:
        return -(item[1].used + item[1].unused), item[0]

    return heapq.nsmallest(TOP_COMMITMENTS, use.commitments.items(), key=order)


def _described(key: str, commitment: _Commitment) -> dict[str, Any]:
    return {
        "commitment_discount_id": key,
        "commitment_discount_type": commitment.type,
        "used_effective_cost": decimal_text(commitment.used),
        "unused_effective_cost": decimal_text(commitment.unused),
        "rows": commitment.rows,
    }
