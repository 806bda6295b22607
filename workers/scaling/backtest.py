"""The back-test: the last tenth forecast from what came before, beside the seasonal naive forecast."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.scaling.forecasting import forecast_from, naive_from, rounded
from workers.scaling.interval import calibrate
from workers.scaling.season import naive_period
from workers.scaling.selection import choose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.scaling.forecasting import Forecasts
    from workers.scaling.instances import Fleet
    from workers.series.grid import Grid
    from workers.series.series import Values

TEST_SHARE = 10
"""One part of so many is held out."""


def held_out(steps: int) -> int:
    """Return how many of the last steps are forecast without being seen."""
    return max(1, steps // TEST_SHARE)


def backtest(
    grid: Grid, periods: Sequence[int], *, horizon: int, level: float, fleet: Fleet | None
) -> dict[str, Any]:
    """Return forecasts, naive forecasts and measured values of the last tenth, and the errors of both.

    Parameters, season and interval are chosen from the steps before it. Forecasts are made anew every
    `horizon` steps, by both methods from the same values; the errors are over the steps where all three are.
    """
    steps = held_out(len(grid))
    first = len(grid) - steps
    known, actual = grid.values[:first], rounded(grid.values[first:])
    model = min(choose(known, periods, horizon), key=lambda choice: choice.error).model
    interval = calibrate(known, model, horizon, level)
    own = forecast_from(grid.values, model, interval, first=first, steps=steps, horizon=horizon)
    period = naive_period(periods, model.period)
    naive = naive_from(grid.values, period, first=first, steps=steps, horizon=horizon)
    scored = ~np.isnan(actual) & ~np.isnan(naive)
    return {
        "first_time": grid.time_text(first),
        "steps": steps,
        "steps_scored": int(scored.sum()),
        "forecast_every_steps": min(horizon, steps),
        "naive_season_seconds": period * grid.step_seconds,
        **_compare(actual[scored], own.mean[scored], naive[scored]),
        "interval": _coverage(actual, own, level),
        "instances": None if fleet is None else fleet.hindsight(actual, own),
        "actual": as_list(actual),
        "forecast": as_list(own.mean),
        "lower": as_list(own.lower),
        "upper": as_list(own.upper),
        "naive": as_list(naive),
    }


def _compare(actual: Values, own: Values, naive: Values) -> dict[str, Any]:
    if not len(actual):
        nothing = {"mean_absolute_error": None, "root_mean_square_error": None}
        return {"own": nothing, "naive_seasonal": nothing, "error_ratio": None, "better_than_naive": None}
    ours, theirs = _errors(actual, own), _errors(actual, naive)
    naive_error = theirs["mean_absolute_error"]
    return {
        "own": ours,
        "naive_seasonal": theirs,
        "error_ratio": ours["mean_absolute_error"] / naive_error if naive_error else None,
        "better_than_naive": ours["mean_absolute_error"] < naive_error,
    }


def _errors(actual: Values, forecast: Values) -> dict[str, float]:
    distances = forecast - actual
    return {
        "mean_absolute_error": math.fsum(np.abs(distances)) / len(distances),
        "root_mean_square_error": math.sqrt(math.fsum(distances**2) / len(distances)),
    }


def _coverage(actual: Values, own: Forecasts, level: float) -> dict[str, Any]:
    known = ~np.isnan(actual)
    inside = int(((actual >= own.lower) & (actual <= own.upper))[known].sum())
    count = int(known.sum())
    return {
        "level": level,
        "steps_inside": inside,
        "share_inside": inside / count if count else None,
        "steps_above": int((actual > own.upper)[known].sum()),
    }


def as_list(values: Values) -> list[float | None]:
    """Return the values with None for NaN."""
    return [None if math.isnan(value) else value for value in values.tolist()]
