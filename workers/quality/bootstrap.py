"""How far a score might be off, had other pairs been drawn: the percentile bootstrap, and an exact interval.

Pairs are drawn with replacement, as many as there are (Efron 1979; for BLEU: Koehn 2004). One set of draws
serves every score. The pairs are taken to be independent of each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Interval = tuple[float, float]


def resampled_sums(scores: Floats, resamples: int, seed: int) -> Floats:
    """Return, for each resample, the sum of every column over the rows drawn.

    `scores` has a row per pair. Draws come from numpy's PCG64 with the seed: the same input, the same sums.
    """
    pairs = len(scores)
    generator = np.random.Generator(np.random.PCG64(seed))
    sums = np.empty((resamples, scores.shape[1]))
    for row in range(resamples):
        times_drawn = np.bincount(generator.integers(0, pairs, size=pairs), minlength=pairs)
        sums[row] = times_drawn @ scores
    return sums


def percentile_interval(values: Floats, confidence: float) -> Interval:
    """Return the quantiles (1 - confidence)/2 and (1 + confidence)/2 of the resampled scores."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def exact_proportion_interval(successes: int, trials: int, confidence: float) -> Interval:
    """Return the Clopper-Pearson interval of a proportion, from quantiles of the beta distribution.

    Unlike the bootstrap it says something when all or none succeed: 10 of 10 may well be 75 % in truth.
    """
    from scipy.special import betaincinv  # noqa: PLC0415 - loaded only by a run that needs it

    tail = (1 - confidence) / 2
    low = betaincinv(successes, trials - successes + 1, tail) if successes else 0.0
    high = betaincinv(successes + 1, trials - successes, 1 - tail) if successes < trials else 1.0
    return float(low), float(high)
