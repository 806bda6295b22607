"""Prediction intervals: the model's spread over the horizon, scaled by how far forecasts were off so far.

The h-step errors of forecasts from many points of the history, each divided by the model's own spread for
h, give scores; the quantiles of the scores times the spread are the limits (empirical intervals: Williams and
Goodman, JASA 66, 1971; scaled scores: Lei et al., JASA 113, 2018). With too few scores the errors are taken
for normal with the standard deviation of the one-step errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from workers.scaling.selection import origins_between
from workers.scaling.smoothing import spread, start_steps, walk

if TYPE_CHECKING:
    from workers.scaling.smoothing import Candidates
    from workers.series.series import Values

MAX_SCORE_ORIGINS = 120
MIN_SCORE_ORIGINS = 10
MIN_SCORES = 100


@dataclass(frozen=True, slots=True)
class Interval:
    """Lower limit = forecast + `low` * spread(h), upper limit = forecast + `high` * spread(h)."""

    method: str
    low: float
    high: float
    scores: int


def calibrate(values: Values, model: Candidates, horizon: int, level: float) -> Interval:
    """Return the interval that holds a share of `level` of the values, as far as the history tells."""
    first = start_steps(model.period)
    origins = origins_between(first, max(first, len(values) - 1), MAX_SCORE_ORIGINS)
    widths = spread(model, horizon)
    scores = []
    for state in walk(values, model, [*origins, len(values)]):
        actual = values[state.step : state.step + horizon]
        found = (actual - state.forecast(model, len(actual))[0]) / widths[: len(actual)]
        scores.append(found[~np.isnan(found)])
    tail = (1 - level) / 2
    every = np.concatenate(scores)
    if len(every) >= MIN_SCORES and len(origins) >= MIN_SCORE_ORIGINS:
        low, high = np.quantile(every, [tail, 1 - tail])
        return Interval("empirical", min(float(low), 0.0), max(float(high), 0.0), len(every))
    deviation = float(np.sqrt(state.squared_errors[0] / max(state.errors, 1)))
    width = NormalDist().inv_cdf(1 - tail) * deviation
    return Interval("normal", -width, width, state.errors)
