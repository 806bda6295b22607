"""What an instance asked of its size: percentiles of a utilisation series in percent."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator import PermanentError

if TYPE_CHECKING:
    from decimal import Decimal

    from workers.series import Series

HIGHEST_PERCENT = 101.0
"""Monitors that divide by a measured interval show slightly more than 100."""
SATURATED_PERCENT = 99.0
_PLACES = 4
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Demand:
    """Utilisation of one resource of one instance, in percent of what its present size has."""

    percentile: float
    """The percentile asked for, 0 to 100."""
    value: float
    """The smallest utilisation that so many percent of the points do not exceed (nearest rank)."""
    mean: float
    highest: float
    points: int
    days: float
    """From the first point to the last."""

    @property
    def is_saturated(self) -> bool:
        """Whether the size itself may have held the demand down."""
        return self.highest >= SATURATED_PERCENT

    def after(self, ratio: Fraction) -> Fraction:
        """Return the utilisation at the percentile on a size with `ratio` times as much of the resource."""
        return Fraction(self.value) / ratio

    def describe(self, ratio: Fraction) -> dict[str, Any]:
        """Return the JSON of it; `ratio` is of the recommended size to the present one."""
        return {
            "percentile": self.percentile,
            "value": round(self.value, _PLACES),
            "mean": round(self.mean, _PLACES),
            "highest": round(self.highest, _PLACES),
            "points": self.points,
            "days": round(self.days, _PLACES),
            "projected": round(float(self.after(ratio)), _PLACES),
        }


def measure(series: Series, percentile: Decimal, *, name: str) -> Demand:
    """Return the demand of a series; raises PermanentError for utilisation outside 0 to 100 percent."""
    values = series.values
    lowest, highest = float(values.min()), float(values.max())
    if lowest < 0 or highest > HIGHEST_PERCENT:
        odd = lowest if lowest < 0 else highest
        raise PermanentError(f"{name}: holds {odd:g}; give utilisation in percent of the size, 0 to 100")
    rank = max(1, ceil(Fraction(percentile) * len(values) / 100))
    return Demand(
        float(percentile),
        float(np.partition(values, rank - 1)[rank - 1]),
        float(values.mean()),
        highest,
        len(values),
        float(series.seconds[-1] - series.seconds[0]) / _DAY_SECONDS,
    )
