"""The commitment of least cost, in closed form over the quantiles of hourly usage.

With usage u(h) in hours h = 1..n, an on-demand rate p and a committed rate r below it, a commitment to q
units costs r * q * n + p * sum of max(0, u(h) - q). Its slope in q is r * n - p * (hours with usage above q),
so the cost falls until only a share r ÷ p of the hours lies above q: the best q is the quantile of usage at
level 1 - r ÷ p (the newsvendor's critical fractile). The cost is convex, hence the best whole q is one of the
two whole numbers beside it.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from math import ceil, floor
from typing import TYPE_CHECKING

from workers.focus.amounts import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class HourlyUsage:
    """Units used in each of `hours` hours; hours that `positive` (ascending) does not list used none."""

    positive: list[Decimal]
    hours: int

    @classmethod
    def of(cls, values: Iterable[Decimal], hours: int) -> HourlyUsage:
        """Return the usage of some hours; of the others, and of negative values, 0."""
        return cls(sorted(value for value in values if value > 0), hours)

    @cached_property
    def _sums(self) -> list[Decimal]:
        return [ZERO, *accumulate(self.positive)]

    @property
    def total(self) -> Decimal:
        """Units times hours."""
        return self._sums[-1]

    def quantile(self, level: Fraction) -> Decimal:
        """Return the smallest usage that a share `level` of the hours does not exceed (nearest rank)."""
        rank = max(1, ceil(level * self.hours)) - (self.hours - len(self.positive))
        return self.positive[rank - 1] if rank > 0 else ZERO

    def covered(self, quantity: Decimal) -> Decimal:
        """Return the unit-hours that a commitment to `quantity` units would cover."""
        below = bisect_right(self.positive, quantity)
        return self._sums[below] + quantity * (len(self.positive) - below)


@dataclass(frozen=True, slots=True)
class Rates:
    """What a unit costs for an hour; both above 0."""

    on_demand: Fraction
    committed: Fraction

    @property
    def break_even_utilization(self) -> Fraction:
        """The share of its hours that a committed unit must be used to cost no more than on demand."""
        return self.committed / self.on_demand


@dataclass(frozen=True, slots=True)
class Offer:
    """What a commitment to `quantity` units would have done to the usage it was worked out from."""

    usage: HourlyUsage
    rates: Rates
    quantity: int

    @property
    def covered(self) -> Fraction:
        """Unit-hours that would have been charged to it."""
        return Fraction(self.usage.covered(Decimal(self.quantity)))

    @property
    def saving(self) -> Fraction:
        """On-demand cost of what it covers, less its own cost, used or not."""
        return self.rates.on_demand * self.covered - self.rates.committed * self.quantity * self.usage.hours

    @property
    def utilization(self) -> Fraction | None:
        """Used share of the committed unit-hours; None when nothing is committed."""
        bought = self.quantity * self.usage.hours
        return self.covered / bought if bought else None

    @property
    def coverage(self) -> Fraction:
        """Share of the usage that it covers."""
        return self.covered / Fraction(self.usage.total)

    def break_even_months(self, term_months: int) -> Fraction | None:
        """Return after how many months of such usage the whole term has paid, however it is paid for.

        By then what it covered would have cost as much on demand as the commitment costs over its term.
        """
        utilization = self.utilization
        if not utilization:
            return None
        return term_months * self.rates.break_even_utilization / utilization


def best_offer(usage: HourlyUsage, rates: Rates) -> Offer:
    """Return the whole commitment of highest saving, the smallest of equals; 0 where none saves."""
    level = 1 - rates.break_even_utilization
    best = usage.quantile(level) if level > 0 else ZERO
    offers = [Offer(usage, rates, quantity) for quantity in sorted({0, floor(best), ceil(best)})]
    return max(offers, key=lambda offer: (offer.saving, -offer.quantity))
