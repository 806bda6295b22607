"""The smallest effect that the test would have found: what a verdict of "no" leaves open.

Planned on ranks. With N values of which n and m on either side, inflation d, level a and power w, a
difference shows with probability w when P(candidate > baseline) is away from 1/2 by

    two samples:    (t + z_w) sqrt(d (N + 1) / (12 n m))      t: quantile of Student's t at level a
    unknown change: 4 (c + z_w / 2) sqrt(d / (12 N))          c: quantile of the Brownian bridge's supremum

the second for a change in the middle of the series, where it shows best. (Noether 1987 for the first. The
second: the CUSUM at the middle is sqrt(12 N / d) (P - 1/2) / 4, with standard deviation 1/2.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.regression.ranking import Worse, degrees_of_freedom

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workers.regression.dependence import Dependence

    Floats = NDArray[np.float64]

MAD_TO_SIGMA = 1.482602218505602
"""1 / quantile 0.75 of the standard normal: what a median absolute deviation of 1 is as sigma."""


@dataclass(frozen=True, slots=True)
class Plan:
    """At which level a test decides, in which direction, and with which power an effect should be found."""

    level: float
    power: float
    worse: Worse


def two_sample_distance(n: int, m: int, dependence: Dependence, plan: Plan) -> float:
    """Return how far from 1/2 the probability of superiority must be; more than 1/2 cannot be reached."""
    from scipy.special import ndtri, stdtrit  # noqa: PLC0415 - loaded only by a run that needs it

    tail = plan.level / 2 if plan.worse is Worse.EITHER else plan.level
    critical = float(stdtrit(degrees_of_freedom(dependence), 1 - tail))
    error = math.sqrt(dependence.inflation * (n + m + 1) / (12 * n * m))
    return (critical + float(ndtri(plan.power))) * error


def change_point_distance(dependence: Dependence, plan: Plan) -> float:
    """Return the same for a change in the middle of a series."""
    from scipy.special import kolmogi, ndtri  # noqa: PLC0415 - loaded only by a run that needs it

    critical = (
        float(kolmogi(plan.level)) if plan.worse is Worse.EITHER else math.sqrt(-math.log(plan.level) / 2)
    )
    error = math.sqrt(dependence.inflation / (12 * dependence.points))
    return 4 * (critical + float(ndtri(plan.power)) / 2) * error


def noise_scale(baseline: Floats, candidate: Floats) -> float:
    """Return the noise's standard deviation if it is normal: 1.4826 times the median absolute deviation."""
    away = [np.abs(sample - np.median(sample)) for sample in (baseline, candidate)]
    return MAD_TO_SIGMA * float(np.median(np.concatenate(away)))


def describe_detectable(
    distance: float, baseline: Floats, candidate: Floats, plan: Plan, reasons: dict[str, str]
) -> dict[str, Any] | None:
    """Return the effect as a probability, as Cliff's delta, and as a shift in the values' unit.

    The shift is that between two normal distributions of the noise's scale: sqrt(2) sigma ndtri(P).
    """
    from scipy.special import ndtri  # noqa: PLC0415 - loaded only by a run that needs it

    key = "minimum_detectable_effect"
    if distance >= 0.5:  # noqa: PLR2004 - a probability ends at 1
        reasons[key] = (
            "so few independent values tell so little that even a complete separation may not show; "
            "collect more of them"
        )
        return None
    sigma = noise_scale(baseline, candidate)
    if sigma == 0:
        reasons[f"{key}.shift"] = "more than half of the values are the same: their noise has no scale"
    return {
        "power": plan.power,
        "probability_of_superiority": 0.5 + distance,
        "cliffs_delta": 2 * distance,
        "noise_sigma": sigma,
        "shift": math.sqrt(2) * sigma * float(ndtri(0.5 + distance)) if sigma > 0 else None,
    }
