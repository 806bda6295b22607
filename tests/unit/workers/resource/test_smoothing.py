"""The recursion, its forecasts and their spread, against another implementation and closed forms."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

from tests.unit.workers.resource.curves import daily_wave
from workers.scaling.forecasting import naive_from
from workers.scaling.interval import calibrate
from workers.scaling.smoothing import Candidates, spread, walk

PERIOD = 6


def candidate(period: int, *numbers: float) -> Candidates:
    return Candidates(period, *(np.array([number]) for number in numbers))


def test_forecasts_and_spread_are_those_of_another_implementation_of_the_same_model() -> None:
    import pandas as pd  # noqa: PLC0415 - heavy, and only here
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel  # noqa: PLC0415 - heavy, and only here

    chance = random.Random(3)
    values = np.array([20 + 5 * math.sin(step) + 0.1 * step + chance.gauss(0, 1) for step in range(90)])
    alpha, beta, gamma, phi = 0.3, 0.05, 0.2, 0.9
    start = values[: 2 * PERIOD].reshape(2, PERIOD)
    model = ETSModel(
        pd.Series(values),
        error="add",
        trend="add",
        damped_trend=True,
        seasonal="add",
        seasonal_periods=PERIOD,
        initialization_method="known",
        initial_level=start.mean(),
        initial_trend=0.0,
        initial_seasonal=(start - start.mean(axis=1, keepdims=True)).mean(axis=0),
    )
    with model.fix_params(
        {"smoothing_level": alpha, "smoothing_trend": beta, "smoothing_seasonal": gamma, "damping_trend": phi}
    ):
        states = (start.mean(), 0.0, *(start - start.mean(axis=1, keepdims=True)).mean(axis=0)[::-1])
        theirs = model.smooth((alpha, beta, gamma, phi, *states))
    ours = candidate(PERIOD, alpha, beta, gamma, phi)
    (state,) = walk(values, ours, [len(values)])

    horizon = 20
    assert np.allclose(state.forecast(ours, horizon)[0], theirs.forecast(horizon), rtol=1e-9)
    variances = theirs.get_prediction(start=len(values), end=len(values) + horizon - 1).forecast_variance
    assert np.allclose(spread(ours, horizon), np.sqrt(np.asarray(variances) / variances[0]), rtol=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_spread_of_a_level_alone_has_its_closed_form(alpha: float) -> None:
    expected = [math.sqrt(1 + (h - 1) * alpha**2) for h in range(1, 31)]
    assert np.allclose(spread(candidate(1, alpha, 0.0, 0.0, 1.0), 30), expected)


def test_many_candidates_at_once_are_each_what_they_are_alone() -> None:
    values = np.array(daily_wave(6, noise=3))
    values[40] = values[77] = np.nan
    rows = np.array(list(itertools.product((0.1, 0.6), (0.0, 0.01), (0.0, 0.3), (0.9, 1.0)))).T
    together = Candidates(24, *rows)
    stops = [60, 100, 144]
    many = [state.forecast(together, 30).copy() for state in walk(values, together, stops)]
    for index in range(len(together)):
        alone = [
            state.forecast(together.one(index), 30)[0] for state in walk(values, together.one(index), stops)
        ]
        for ours, theirs in zip(many, alone, strict=True):
            assert np.allclose(ours[index], theirs, rtol=1e-12)


def test_missing_values_of_a_plain_season_change_nothing() -> None:
    values = np.array([1.0, 5.0, 9.0, 2.0] * 10)
    holed = values.copy()
    holed[[9, 14, 15, 30]] = np.nan
    model = candidate(4, 0.4, 0.0, 0.3, 1.0)
    (whole,) = walk(values, model, [40])
    forecast = whole.forecast(model, 8).copy()
    (state,) = walk(holed, model, [40])
    assert np.allclose(forecast, [[1, 5, 9, 2] * 2])
    assert np.allclose(state.forecast(model, 8), forecast)


def test_naive_forecast_takes_the_last_value_known_whole_seasons_before() -> None:
    chance = random.Random(5)
    values = [chance.random() for _ in range(60)]
    for hole in (31, 35, 38):
        values[hole] = math.nan
    first, steps, horizon, period = 40, 20, 13, 4
    found = naive_from(np.array(values), period, first=first, steps=steps, horizon=horizon)
    for offset in range(steps):
        known = values[: first + offset // horizon * horizon]
        same = [
            value
            for step, value in enumerate(known)
            if step % period == (first + offset) % period and not math.isnan(value)
        ]
        assert found[offset] == pytest.approx(same[-1], rel=1e-8)


def test_naive_forecast_is_missing_where_no_season_before_is_known() -> None:
    values = np.array([math.nan, 1.0, 2.0, 3.0, 4.0, 5.0])
    assert np.isnan(naive_from(values, 4, first=4, steps=2, horizon=2)).tolist() == [True, False]


def test_few_errors_are_taken_for_normal() -> None:
    chance = random.Random(7)
    values = np.array([chance.gauss(10, 2) for _ in range(40)])
    model = candidate(1, 0.1, 0.0, 0.0, 1.0)
    interval = calibrate(values, model, 1, 0.95)
    level, errors = float(values[:10].mean()), []
    for value in values:
        errors.append(value - level)
        level += 0.1 * errors[-1]
    deviation = math.sqrt(sum(error**2 for error in errors[10:]) / 30)
    assert interval.method == "normal"
    assert interval.high == pytest.approx(1.959963985 * deviation)
    assert interval.low == -interval.high
