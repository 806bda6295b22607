"""Forecasts from given points of a series, each from what was known there, beside the seasonal naive ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workers.scaling.smoothing import spread, walk

if TYPE_CHECKING:
    from workers.scaling.interval import Interval
    from workers.scaling.smoothing import Candidates
    from workers.series.series import Values

DIGITS = 9
"""Significant digits of the forecasts; errors are computed from the figures as they are written."""


@dataclass(frozen=True, slots=True)
class Forecasts:
    """One mean and the two limits for each step of a stretch; none is below 0."""

    mean: Values
    lower: Values
    upper: Values


def rounded(values: Values) -> Values:
    """Return the values as a result writes them."""
    return np.array([float(f"{value:.{DIGITS}g}") for value in values.tolist()], dtype=np.float64)


def forecast_from(
    values: Values, model: Candidates, interval: Interval, *, first: int, steps: int, horizon: int
) -> Forecasts:
    """Forecast the steps `first` to `first + steps - 1`, anew every `horizon` steps from all values before.

    A forecast never sees a value of its own step or of a later one.
    """
    means, lows, highs = [], [], []
    widths = spread(model, horizon)
    for state in walk(values, model, range(first, first + steps, horizon)):
        count = min(horizon, first + steps - state.step)
        mean = state.forecast(model, count)[0]
        means.append(mean)
        lows.append(mean + interval.low * widths[:count])
        highs.append(mean + interval.high * widths[:count])
    return Forecasts(*(rounded(np.maximum(np.concatenate(parts), 0.0)) for parts in (means, lows, highs)))


def naive_from(values: Values, period: int, *, first: int, steps: int, horizon: int) -> Values:
    """Return the seasonal naive forecasts for the same steps from the same points.

    Each is the last value known at that point, whole periods before; NaN where there is none.
    """
    found = np.full(steps, np.nan)
    for offset in range(steps):
        origin = first + offset - offset % horizon
        step = first + offset - period
        while step >= 0 and (step >= origin or np.isnan(values[step])):
            step -= period
        if step >= 0:
            found[offset] = values[step]
    return rounded(found)
