"""`predict_scaling`: the series on its steps, back-test, forecast and counts, as one bounded result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator import PermanentError
from workers.scaling.backtest import as_list, backtest, held_out
from workers.scaling.forecasting import forecast_from
from workers.scaling.instances import FULL_PERCENT, Fleet, Kind
from workers.scaling.interval import calibrate
from workers.scaling.season import NO_SEASON, candidate_periods
from workers.scaling.selection import choose
from workers.series import onto_grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.scaling.instances import PlanFor
    from workers.scaling.interval import Interval
    from workers.scaling.selection import Choice
    from workers.series import Grid, Series

    Progress = Callable[[float, str], None]

MIN_STEPS = 30
MAX_STEPS = 20_000
"""Later steps that are used; the ones before them are left out, and a note says so."""
MAX_HORIZON = 2_000
MIN_KNOWN_SHARE = 0.5
_SATURATED_PERCENT = 99.0
_SATURATED_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller asks for; see the schema of `predict_scaling`."""

    kind: Kind
    current_instances: int | None
    capacity_per_instance: float | None
    target_percent: float
    horizon_steps: int | None
    season_seconds: float | None
    step_seconds: float | None
    interval_level: float
    plan_for: PlanFor
    min_instances: int
    max_instances: int | None

    def fleet(self, reasons: dict[str, str]) -> Fleet | None:
        """Return what makes counts of values; without it the reason goes to `reasons`."""
        match self.kind:
            case Kind.UTILIZATION:
                known = None if self.current_instances is None else FULL_PERCENT / self.current_instances
                missing = "current_instances"
            case Kind.REQUESTS:
                known, missing = self.capacity_per_instance, "capacity_per_instance"
        if known is None:
            reasons["instances"] = f"no {missing} is given, so the values say nothing about a count"
            return None
        return Fleet(
            self.kind, known, self.target_percent, self.plan_for, self.min_instances, self.max_instances
        )


def predict(series: Series, wanted: Wanted, progress: Progress) -> dict[str, Any]:
    """Return forecast, back-test and instance counts; raises PermanentError for values that cannot be."""
    _check_values(series, wanted.kind)
    reasons: dict[str, str] = {}
    notes = list(series.notes)
    described = {"kind": wanted.kind.value, "points": len(series), "first_time": series.time_text(0)}
    described["last_time"] = series.time_text(-1)
    if len(series) > 1:
        grid = _usable(onto_grid(series, wanted.step_seconds), notes)
        reason = _insufficient(grid)
    else:
        grid, reason = None, "the series has a single point"
    if grid is None or reason:
        reasons["forecast"] = reason or ""
        empty = {"steps": None, "model": None, "backtest": None, "forecast": None, "instances": None}
        return {**described, **empty, "notes": notes, "insufficient_data": reasons}
    notes += _value_notes(grid, wanted.kind)
    progress(0.3, f"{len(grid)} steps to forecast from")
    return {
        **described,
        **_forecast(grid, wanted, reasons, notes, progress),
        "notes": notes,
        "insufficient_data": reasons,
    }


def _forecast(
    grid: Grid, wanted: Wanted, reasons: dict[str, str], notes: list[str], progress: Progress
) -> dict[str, Any]:
    tested = held_out(len(grid))
    periods, unfit = candidate_periods(len(grid) - tested, grid.step_seconds, wanted.season_seconds)
    reasons.update(unfit)
    season = min((period for period in periods if period != NO_SEASON), default=tested)
    horizon = wanted.horizon_steps or min(season, MAX_HORIZON)
    fleet = wanted.fleet(reasons)
    choices = choose(grid.values, periods, horizon)
    chosen = min(choices, key=lambda choice: choice.error)
    test = backtest(
        grid,
        periods,
        horizon=horizon,
        level=wanted.interval_level,
        fleet=fleet,
    )
    if test["better_than_naive"] is False and test["error_ratio"] is not None:
        notes.append(
            "the seasonal naive forecast was as good or better on the last tenth: prefer it, or ask why"
        )
    progress(0.8, "back-tested on the last tenth")
    interval = calibrate(grid.values, chosen.model, horizon, wanted.interval_level)
    ahead = forecast_from(
        grid.values, chosen.model, interval, first=len(grid), steps=horizon, horizon=horizon
    )
    return {
        "steps": {"used": len(grid), "without_a_point": grid.missing, "step_seconds": grid.step_seconds},
        "model": _describe_model(chosen, choices, interval, grid.step_seconds),
        "backtest": test,
        "forecast": {
            "first_time": grid.time_text(len(grid)),
            "last_time": grid.time_text(len(grid) + horizon - 1),
            "step_seconds": grid.step_seconds,
            "steps": horizon,
            "interval_level": wanted.interval_level,
            "mean": as_list(ahead.mean),
            "lower": as_list(ahead.lower),
            "upper": as_list(ahead.upper),
        },
        "instances": None if fleet is None else fleet.describe(ahead, grid.step_seconds),
    }


def _describe_model(
    chosen: Choice, choices: list[Choice], interval: Interval, step_seconds: float
) -> dict[str, Any]:
    model = chosen.model
    return {
        "name": "additive exponential smoothing with level, damped trend and season",
        "season_seconds": None if model.period == NO_SEASON else model.period * step_seconds,
        **{name: float(getattr(model, name)[0]) for name in ("alpha", "beta", "gamma", "phi")},
        "interval": {"method": interval.method, "errors_used": interval.scores},
        "tried": [
            {
                "season_seconds": None if c.model.period == NO_SEASON else c.model.period * step_seconds,
                "mean_absolute_error": c.error,
            }
            for c in choices
        ],
    }


def _check_values(series: Series, kind: Kind) -> None:
    highest = FULL_PERCENT if kind is Kind.UTILIZATION else np.inf
    outside = np.flatnonzero((series.values < 0) | (series.values > highest))
    if len(outside):
        at = int(outside[0])
        allowed = "0 to 100 percent" if kind is Kind.UTILIZATION else "0 or more"
        raise PermanentError(
            f"series: the value {series.values[at]:g} at {series.time_text(at)}: {kind.value} is {allowed}"
        )


def _usable(grid: Grid, notes: list[str]) -> Grid:
    notes += grid.notes
    if len(grid) <= MAX_STEPS:
        return grid
    notes.append(
        f"the latest {MAX_STEPS} of {len(grid)} steps are used; give step_seconds to use a longer time"
    )
    return grid.latest(MAX_STEPS)


def _insufficient(grid: Grid) -> str | None:
    if len(grid) < MIN_STEPS:
        return f"the series has {len(grid)} steps of {grid.step_seconds:g} s; {MIN_STEPS} or more are needed"
    known = 1 - grid.missing / len(grid)
    if known < MIN_KNOWN_SHARE:
        return f"only {known:.0%} of the steps of {grid.step_seconds:g} s have a point; give step_seconds"
    return None


def _value_notes(grid: Grid, kind: Kind) -> list[str]:
    known = grid.values[~np.isnan(grid.values)]
    if (known == known[0]).all():
        return ["the values are constant: so is the forecast, and its interval has no width"]
    full = float((known >= _SATURATED_PERCENT).mean())
    if kind is Kind.UTILIZATION and full >= _SATURATED_SHARE:
        problem = (
            f"{full:.1%} of the steps are at {_SATURATED_PERCENT:g} % or more: what was asked for beyond "
        )
        return [problem + "it was not measured, so the counts may be too small"]
    return []
