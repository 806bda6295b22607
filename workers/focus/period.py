"""Which whole UTC days are analysed, and the two halves of them that are compared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import assert_never

from orchestrator import PermanentError

MAX_DAYS = 3_660
"""Ten years: a longer period is a mistyped date."""


class PeriodName(StrEnum):
    """How far back from the day of the last charge the analysis reaches."""

    LAST_7_DAYS = "last_7_days"
    LAST_30_DAYS = "last_30_days"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Period:
    """Days as ordinals (date.toordinal), both ends included."""

    first_day: int
    last_day: int

    @property
    def days(self) -> int:
        """Count the days, also those without a charge."""
        return self.last_day - self.first_day + 1

    @property
    def half_days(self) -> int:
        """Days of each of the two halves; the middle day of an odd number belongs to neither."""
        return self.days // 2

    def half_of(self, day: int) -> int:
        """Return 0 for a day of the earlier half, 1 for the later one, -1 for the middle day."""
        if day < self.first_day + self.half_days:
            return 0
        return 1 if day > self.last_day - self.half_days else -1


def choose_period(name: PeriodName, first_day: int, last_day: int) -> Period:
    """Return the days from the first charge to the last, cut to the last 7 or 30 when asked for.

    A shorter span of data is not stretched: its first charge opens the period.
    Raises PermanentError beyond MAX_DAYS.
    """
    match name:
        case PeriodName.ALL:
            period = Period(first_day, last_day)
        case PeriodName.LAST_7_DAYS:
            period = Period(max(first_day, last_day - 6), last_day)
        case PeriodName.LAST_30_DAYS:
            period = Period(max(first_day, last_day - 29), last_day)
        case _:
            assert_never(name)
    if period.days > MAX_DAYS:
        raise PermanentError(
            f"column ChargePeriodStart: charges reach from {day_text(period.first_day)} to "
            f"{day_text(period.last_day)}, more than {MAX_DAYS} days; "
            "correct the mistyped date, or choose last_30_days"
        )
    return period


def day_text(day: int) -> str:
    """Return an ordinal as YYYY-MM-DD."""
    return date.fromordinal(day).isoformat()
