"""The ledger's partitions: made before they are needed, and watched for rows that found none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.ledger import leadership, partitions

if TYPE_CHECKING:
    from orchestrator.ledger.engine import Ledger


@dataclass(frozen=True, slots=True)
class PartitionReport:
    """The partitions that a pass made, and the rows of each table that lie in its DEFAULT partition."""

    made: list[str]
    in_default: dict[str, int]

    @property
    def notable(self) -> bool:
        """Whether an operator should see it: rows without a week of their own tell of a wrong clock."""
        return bool(self.made) or any(self.in_default.values())


def keep_partitions(ledger: Ledger, *, term: int) -> PartitionReport:
    """Make the partitions of the weeks to come. Raises UnavailableError, LostLeadershipError."""
    with ledger.transaction() as conn:
        leadership.assert_term(conn, term)
        made = partitions.make_ahead(conn, datetime.now(UTC))
        return PartitionReport(made, partitions.default_rows(conn))
