"""What interruptions cost: the expected running time of work that goes on from its last checkpoint.

Interruptions come at random at a constant rate lambda per running hour (a Poisson process). Work is saved
after every tau hours of it; an interruption loses what was done since, and costs R hours of starting again,
during which none strikes. A piece of tau hours then takes (1 ÷ lambda + R) * (exp(lambda * tau) - 1) hours on
average, and exp(lambda * tau) - 1 interruptions (Duda 1983; Daly 2006 with checkpoints that take no time). As
tau goes to 0 an hour of work takes 1 + lambda * R hours and lambda interruptions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from workers.focus.usage import HOURS_PER_MONTH

_MAX_EXPONENT = 600.0
_HIGHEST_MONTHLY_RATE = 1e6
_BISECTIONS = 100


@dataclass(frozen=True, slots=True)
class Interruptions:
    """How often an instance is interrupted, and what it does about it."""

    monthly_rate: float
    """Expected interruptions of one instance in HOURS_PER_MONTH running hours."""
    checkpoint_hours: float
    """Hours of work between two savings; 0 when no work is ever lost."""
    restart_hours: float
    """Paid hours until the work goes on."""

    @property
    def per_work_hour(self) -> float:
        """Expected interruptions for each hour of useful work."""
        rate = self.monthly_rate / HOURS_PER_MONTH
        if self.checkpoint_hours == 0:
            return rate
        exponent = min(rate * self.checkpoint_hours, _MAX_EXPONENT)
        return math.expm1(exponent) / self.checkpoint_hours

    @property
    def running_hours(self) -> float:
        """Expected running hours for each hour of useful work: 1 or more."""
        rate = self.monthly_rate / HOURS_PER_MONTH
        if rate == 0:
            return 1.0
        exponent = min(rate * self.checkpoint_hours, _MAX_EXPONENT)
        worked = math.expm1(exponent) / exponent if exponent else 1.0
        return worked + self.restart_hours * self.per_work_hour


def break_even_monthly_rate(plan: Interruptions, *, discount: float, cost_in_hours: float) -> float | None:
    """Return the monthly rate above which spot costs more than on demand; None where it never does.

    `cost_in_hours` is what an interruption costs besides its hours, in on-demand hours of the instance.
    """

    def loses(rate: float) -> bool:
        at = replace(plan, monthly_rate=rate)
        return (1 - discount) * at.running_hours + at.per_work_hour * cost_in_hours > 1

    if not loses(_HIGHEST_MONTHLY_RATE):
        return None
    low, high = 0.0, _HIGHEST_MONTHLY_RATE
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if loses(middle) else (middle, high)
    return low
