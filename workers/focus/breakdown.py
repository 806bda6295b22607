"""Spend by service, sub-account, region and day: bounded tables whose lines add up exactly to the total."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from workers.focus.amounts import ZERO, decimal_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from workers.focus.charge import Charge

Key = TypeVar("Key")
TOP_KEYS = 25
"""Lines of a breakdown in the result; the rest is summed as `other`."""
MAX_KEYS = 20_000
"""Distinct keys a breakdown holds in memory; charges of later ones go to `other`."""
MAX_DAYS_LISTED = 400
"""Latest days listed one by one; earlier ones are summed as `other`."""


@dataclass(slots=True)
class Tally:
    """Sums of some charges. Without every EffectiveCost or ListCost those two are sums of what is there."""

    rows: int = 0
    billed: Decimal = ZERO
    effective: Decimal = ZERO
    listed: Decimal = ZERO
    earlier: Decimal = ZERO
    """Billed in the earlier half of the period."""
    later: Decimal = ZERO

    def add(self, charge: Charge, half: int) -> None:
        """Count a charge of the earlier (0) or later (1) half, or of neither (-1)."""
        self.rows += 1
        cost = charge.billed_cost
        self.billed += cost
        if charge.effective_cost is not None:
            self.effective += charge.effective_cost
        if charge.list_cost is not None:
            self.listed += charge.list_cost
        if half == 0:
            self.earlier += cost
        elif half == 1:
            self.later += cost

    def merge(self, other: Tally) -> None:
        """Add another tally's sums."""
        self.rows += other.rows
        self.billed += other.billed
        self.effective += other.effective
        self.listed += other.listed
        self.earlier += other.earlier
        self.later += other.later


@dataclass(slots=True)
class Breakdown(Generic[Key]):
    """Tallies by key."""

    max_keys: int = MAX_KEYS
    tallies: dict[Key, Tally] = field(default_factory=dict)
    overflow: Tally = field(default_factory=Tally)
    """Charges of keys that came after `max_keys` others."""

    def add(self, key: Key, charge: Charge, half: int) -> None:
        """Count a charge under its key."""
        tally = self.tallies.get(key)
        if tally is None:
            tally = self._open(key)
        tally.add(charge, half)

    def _open(self, key: Key) -> Tally:
        if len(self.tallies) >= self.max_keys:
            return self.overflow
        return self.tallies.setdefault(key, Tally())

    @property
    def is_complete(self) -> bool:
        """Whether every key has a tally of its own."""
        return self.overflow.rows == 0

    def total(self) -> Tally:
        """Return the sum over all keys."""
        return _merged([*self.tallies.values(), self.overflow])


@dataclass(frozen=True, slots=True)
class SpendText:
    """How a tally is written: amounts the input cannot support are null."""

    has_effective: bool
    has_list: bool

    def of(self, tally: Tally) -> dict[str, Any]:
        """Return the JSON fields of a tally."""
        return {
            "total_spend": decimal_text(tally.billed),
            "effective_spend": decimal_text(tally.effective) if self.has_effective else None,
            "list_spend": decimal_text(tally.listed) if self.has_list else None,
            "rows": tally.rows,
        }


def describe_top(breakdown: Breakdown[str | None], text: SpendText) -> dict[str, Any]:
    """Return the TOP_KEYS keys of highest spend, the rest as `other`; the key null stands for no value."""
    top = heapq.nsmallest(
        TOP_KEYS, breakdown.tallies.items(), key=lambda item: (-item[1].billed, item[0] or "")
    )
    kept = {key for key, _ in top}
    rest = [tally for key, tally in breakdown.tallies.items() if key not in kept]
    return _described(top, rest, breakdown.overflow, text)


def describe_days(days: Iterable[tuple[str, Tally]], text: SpendText) -> dict[str, Any]:
    """Return the MAX_DAYS_LISTED latest days in their order, and the earlier ones as `other`."""
    ordered = sorted(days, key=lambda item: item[0])
    return _described(
        ordered[-MAX_DAYS_LISTED:], [tally for _, tally in ordered[:-MAX_DAYS_LISTED]], Tally(), text
    )


def _described(
    items: Iterable[tuple[str | None, Tally]], rest: list[Tally], overflow: Tally, text: SpendText
) -> dict[str, Any]:
    other = _merged([*rest, overflow])
    return {
        "items": [{"key": key, **text.of(tally)} for key, tally in items],
        "other": {"keys": len(rest), "keys_complete": not overflow.rows, **text.of(other)}
        if other.rows
        else None,
    }


def _merged(tallies: Iterable[Tally]) -> Tally:
    merged = Tally()
    for tally in tallies:
        merged.merge(tally)
    return merged
