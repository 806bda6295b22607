"""Choosing the smoothing parameters and the season: those that forecast best as far ahead as is asked.

Each candidate forecasts from points of the history, evenly spread; the one with the smallest mean absolute
error over all of them is taken, first from a coarse grid, then from a finer one around it. (An error averaged
over several steps ahead as the criterion: Hyndman et al. 2008, section 5.1.)
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workers.scaling.smoothing import Candidates, start_steps, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workers.series.series import Values

MIN_ORIGINS = 24
MAX_ORIGINS = 400
FORECAST_VALUES = 20_000
"""About so many forecast values each candidate is judged on, within the bounds for its origins."""
_ALPHAS = (0.002, 0.01, 0.03, 0.08, 0.2, 0.4, 0.6, 0.8, 0.95)
_GAMMAS = (0.0, 0.03, 0.08, 0.15, 0.3, 0.5)
"""As parts of 1 - alpha, the range in which the season stays stable."""
_TRENDS = ((0.0, 1.0), (0.02, 0.9), (0.02, 0.98), (0.1, 0.98), (0.02, 0.998))
"""beta as a part of alpha, and phi; the first is no trend."""
_FINER = (0.5, 0.7, 0.85, 1.0, 1.2, 1.4, 2.0)
_HIGHEST_ALPHA = 0.99


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen parameters and the mean absolute error they had at the origins."""

    model: Candidates
    error: float


def origins_between(first: int, last: int, count: int) -> list[int]:
    """Return up to `count` different steps from `first` to `last`, evenly spread, both ends included."""
    return sorted({int(step) for step in np.linspace(first, last, min(count, last - first + 1)).round()})


def choose(values: Values, periods: Sequence[int], horizon: int) -> list[Choice]:
    """Return the best model of each period (1: none), all judged on forecasts of the same values.

    Needs one value or more after the start of the longest period.
    """
    first = max(start_steps(period) for period in periods)
    count = min(max(FORECAST_VALUES // horizon, MIN_ORIGINS), MAX_ORIGINS)
    origins = origins_between(first, max(first, len(values) - horizon), count)
    return [_choose_for(values, period, horizon, origins) for period in periods]


def _choose_for(values: Values, period: int, horizon: int, origins: Sequence[int]) -> Choice:
    coarse = _best(values, _coarse(period), horizon, origins)
    return min(
        coarse,
        _best(values, _around(coarse.model), horizon, origins),
        key=lambda choice: choice.error,
    )


def _best(values: Values, candidates: Candidates, horizon: int, origins: Sequence[int]) -> Choice:
    sums, count = np.zeros(len(candidates)), 0
    for state in walk(values, candidates, origins):
        actual = values[state.step : state.step + horizon]
        known = ~np.isnan(actual)
        forecasts = state.forecast(candidates, len(actual))
        sums += np.abs(forecasts - actual)[:, known].sum(axis=1)
        count += int(known.sum())
    best = int(np.argmin(sums))
    return Choice(candidates.one(best), float(sums[best]) / max(count, 1))


def _coarse(period: int) -> Candidates:
    gammas = _GAMMAS if period > 1 else (0.0,)
    return _candidates(
        period,
        (
            (alpha, trend * alpha, gamma * (1 - alpha), phi)
            for alpha, gamma, (trend, phi) in itertools.product(_ALPHAS, gammas, _TRENDS)
        ),
    )


def _around(model: Candidates) -> Candidates:
    """Return parameters around those of a single model, within the stable range."""
    alpha, beta, gamma, phi = (float(array[0]) for array in (model.alpha, model.beta, model.gamma, model.phi))
    finer_gammas = _FINER if gamma else (1.0,)
    rows = []
    for by_alpha, by_gamma in itertools.product(_FINER, finer_gammas):
        new_alpha = min(alpha * by_alpha, _HIGHEST_ALPHA)
        rows.append((new_alpha, min(beta, new_alpha), min(gamma * by_gamma, 1 - new_alpha), phi))
    return _candidates(model.period, rows)


def _candidates(period: int, rows: Iterable[tuple[float, float, float, float]]) -> Candidates:
    alpha, beta, gamma, phi = np.array(list(rows)).T
    return Candidates(period, alpha, beta, gamma, phi)
