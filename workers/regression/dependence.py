"""How much less than as many independent values an autocorrelated series tells about its mean.

The inflation is the long-run variance divided by the variance: 1 for independent values, (1 + r)/(1 - r) for
a first-order autoregression with lag-one autocorrelation r. It is taken at several scales, of single values
and of means of 2, 4, 8, ... values while MIN_BLOCKS of them remain, and the largest counts: what only the
means of many values show (slow waves under fast noise) is then seen too. At each scale r is moved up

- by BIAS (1 + 3 r)/n: an estimate around fitted means falls short by about (1 + 3 r)/n (Kendall 1954), and
  about
  three times that when two means are fitted, at a place chosen for the largest difference (by simulation);
- for single values also by one standard error, sqrt((1 - r^2)/n), so that an unlucky estimate does no harm.

Never below 1: values that alternate are not counted as more than they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BIAS = 3.0
MIN_BLOCKS = 15


@dataclass(frozen=True, slots=True)
class Dependence:
    """What the autocorrelation of residuals does to the variance of a mean."""

    points: int
    lag_one: float
    """Autocorrelation of neighbours, as estimated, before it is moved up."""
    inflation: float
    block: int
    """Values per mean at the scale that decided."""

    @property
    def effective_points(self) -> float:
        """How many independent values would tell as much."""
        return self.points / self.inflation

    def describe(self) -> dict[str, Any]:
        """Return the figures as JSON-able values."""
        return {
            "lag_one": self.lag_one,
            "variance_inflation": self.inflation,
            "decided_by_means_of": self.block,
            "effective_points": self.effective_points,
        }


def independent(points: int) -> Dependence:
    """Return what holds for values that the caller vouches for as independent."""
    return Dependence(points, 0.0, 1.0, 1)


def measure(residuals: Floats) -> Dependence:
    """Return the dependence within residuals, given in time order and with mean 0 in each segment."""
    points = len(residuals)
    variance = float(np.mean(residuals**2))
    if variance == 0:
        return independent(points)
    lag_one = _lag_one(residuals)
    inflation, deciding, block = 1.0, 1, 1
    while block == 1 or points // block >= MIN_BLOCKS:
        found = _inflation_at(residuals, block, variance)
        if found > inflation:
            inflation, deciding = found, block
        block *= 2
    return Dependence(points, lag_one, inflation, deciding)


def _inflation_at(residuals: Floats, block: int, variance: float) -> float:
    count = len(residuals) // block
    means = residuals[: count * block].reshape(count, block).mean(axis=1)
    of_means = float(np.mean(means**2))
    if of_means == 0:
        return 1.0
    raised = _raised(_lag_one(means), count, add_error=block == 1)
    return block * of_means / variance * (1 + raised) / (1 - raised)


def _lag_one(values: Floats) -> float:
    return float(values[1:] @ values[:-1] / (values @ values))


def _raised(lag_one: float, count: int, *, add_error: bool) -> float:
    raised = lag_one + BIAS * (1 + 3 * max(0.0, lag_one)) / count
    if add_error:
        raised += math.sqrt(max(1 - raised**2, 1 / count) / count)
    return min(max(raised, 0.0), 1 - 1 / count)
