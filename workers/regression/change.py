"""The test of a series for a change of level at an unknown time: Pettitt's (1979) CUSUM of ranks.

The statistic is the largest |sum of centred ranks up to k| over k, divided by sqrt(n) and the long-run
standard deviation of the ranks. Under no change it goes to the supremum of a Brownian bridge, whose tail
gives the p-value (Kolmogorov's for either direction, exp(-2 x^2) for one).

How strongly neighbours depend on each other is measured around the means of both sides. A side may hold
changes of its own, which would pass for autocorrelation; so each is searched first in the same way, down to
MIN_SEGMENT points, and what shows there at CLEANING_LEVEL is taken out too. On noise that happens too rarely
to matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from workers.regression.dependence import independent, measure
from workers.regression.ranking import RankTest, Worse, midranks, without_means

if TYPE_CHECKING:
    from workers.regression.ranking import Floats

MIN_SEGMENT = 40
CLEANING_LEVEL = 0.01
MAX_DEPTH = 8
"""Halvings of the series: 1 to 256 segments."""
NAME = "Pettitt (CUSUM of ranks), variance inflated for autocorrelation"


@dataclass(frozen=True, slots=True)
class ChangeTest:
    """The test of a whole series."""

    test: RankTest
    within: list[int] = field(default_factory=list)
    """Where the sides change level themselves, as places in the series."""


def pettitt(values: Floats, worse: Worse, *, depth: int = MAX_DEPTH) -> ChangeTest:
    """Test a series of two values or more; a constant one has its split at the end and p 1."""
    points = len(values)
    ranks = midranks(values)
    variance = float(ranks.var())
    if variance == 0:
        return ChangeTest(RankTest(NAME, 0.0, 1.0, 1.0, independent(points), points))
    sums = np.cumsum(ranks - ranks.mean())[:-1]
    heights = {Worse.HIGHER: -sums, Worse.LOWER: sums, Worse.EITHER: np.abs(sums)}[worse]
    split = int(np.argmax(heights)) + 1
    before = _changes_in(values[:split], depth)
    after = [split + place for place in _changes_in(values[split:], depth)]
    dependence = measure(without_means(ranks, [*before, split, *after]))
    plain = max(0.0, float(heights[split - 1])) / math.sqrt(points * variance)
    statistic = plain / math.sqrt(dependence.inflation)
    test = RankTest(NAME, statistic, _bridge_p(statistic, worse), _bridge_p(plain, worse), dependence, split)
    return ChangeTest(test, before + after)


def _changes_in(values: Floats, depth: int) -> list[int]:
    if len(values) < MIN_SEGMENT or depth == 0:
        return []
    found = pettitt(values, Worse.EITHER, depth=depth - 1)
    own = [found.test.split] if found.test.p_value <= CLEANING_LEVEL else []
    return sorted(found.within + own)


def _bridge_p(height: float, worse: Worse) -> float:
    from scipy.special import kolmogorov  # noqa: PLC0415 - loaded only by a run that needs it

    return float(kolmogorov(height)) if worse is Worse.EITHER else math.exp(-2 * height**2)
