"""The test of two samples on ranks, its variance multiplied by what autocorrelation does to it.

On ranks nothing is asked of the values' distribution: heavy tails and outliers raise no false alarms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from workers.regression.dependence import independent, measure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workers.regression.dependence import Dependence

    Floats = NDArray[np.float64]


class Worse(StrEnum):
    """In which direction a change is a regression."""

    HIGHER = "higher"
    LOWER = "lower"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class RankTest:
    """A test's outcome."""

    name: str
    statistic: float
    p_value: float
    p_value_if_independent: float
    dependence: Dependence
    split: int
    """How many of the values, in time order, are the baseline."""


def mann_whitney(baseline: Floats, candidate: Floats, worse: Worse, *, ordered: bool) -> RankTest:
    """Test whether the candidate tends to larger or smaller values: Mann-Whitney U of the candidate.

    For independent values: exact for small samples without ties, else normal with continuity and tie
    correction (scipy). For ordered ones the variance of U is multiplied by the inflation of the ranks within
    each sample and z is held against Student's t with effective points - 2 degrees of freedom; the larger
    p-value counts.
    """
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - loaded only by a run that needs it

    name = "Mann-Whitney U" + (", variance inflated for autocorrelation" if ordered else "")
    n, m = len(baseline), len(candidate)
    ranks = midranks(np.concatenate([baseline, candidate]))
    variance = float(ranks.var(ddof=1))
    if variance == 0:
        return RankTest(name, n * m / 2, 1.0, 1.0, independent(n + m), n)
    alternative = {Worse.HIGHER: "greater", Worse.LOWER: "less", Worse.EITHER: "two-sided"}[worse]
    plain = mannwhitneyu(candidate, baseline, alternative=alternative)
    statistic, p_plain = float(plain.statistic), float(plain.pvalue)
    if not ordered:
        return RankTest(name, statistic, p_plain, p_plain, independent(n + m), n)
    dependence = measure(without_means(ranks, [n]))
    error = math.sqrt(dependence.inflation * variance * (1 / n + 1 / m))
    z = float(ranks[n:].mean() - ranks[:n].mean()) / error
    p_value = _student_p(z, degrees_of_freedom(dependence), worse)
    return RankTest(name, statistic, max(p_value, p_plain), p_plain, dependence, n)


def midranks(values: Floats) -> Floats:
    """Return each value's rank from 1; equal values share the mean of theirs."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[where], dtype=np.float64)


def without_means(values: Floats, cuts: list[int]) -> Floats:
    """Return the values less the mean of their segment; a segment begins at each cut."""
    return np.concatenate([segment - segment.mean() for segment in np.split(values, cuts)])


def degrees_of_freedom(dependence: Dependence) -> float:
    """Return those of the Student's t that z is held against."""
    return max(1.0, dependence.effective_points - 2)


def _student_p(z: float, freedom: float, worse: Worse) -> float:
    from scipy.special import stdtr  # noqa: PLC0415 - loaded only by a run that needs it

    match worse:
        case Worse.EITHER:
            return float(2 * stdtr(freedom, -abs(z)))
        case Worse.HIGHER:
            return float(stdtr(freedom, -z))
        case Worse.LOWER:
            return float(stdtr(freedom, z))
