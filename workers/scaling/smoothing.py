"""Exponential smoothing with a level, a damped trend and a season, run for many candidates at once.

The additive-error state space model ETS(A,Ad,A) in error-correction form, with trend and season of 0 where a
candidate has none (Hyndman, Koehler, Ord, Snyder: Forecasting with Exponential Smoothing, 2008, ch. 2-3):

    error(t) = y(t) - level(t-1) - phi trend(t-1) - season(t-m)
    level(t) = level(t-1) + phi trend(t-1) + alpha error(t)
    trend(t) = phi trend(t-1) + beta error(t)
    season(t) = season(t-m) + gamma error(t)

A missing value moves the states on with an error of 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workers.series.series import Values

START_PERIODS = 2
"""Whole periods at the beginning that the first states are taken from; errors in them are not counted."""
START_STEPS = 10
"""The same for a candidate without a season, in steps."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Sets of smoothing parameters, one number of each array for each; `period` in steps, 1: no season."""

    period: int
    alpha: Values
    beta: Values
    gamma: Values
    phi: Values

    def __len__(self) -> int:
        return len(self.alpha)

    def one(self, index: int) -> Candidates:
        """Return one of them by itself."""
        chosen = slice(index, index + 1)
        return Candidates(
            self.period, self.alpha[chosen], self.beta[chosen], self.gamma[chosen], self.phi[chosen]
        )


@dataclass(slots=True)
class State:
    """The states of all candidates after `step` values were seen."""

    step: int
    level: Values
    trend: Values
    seasonal: Values
    """One row for each position of the period, one column for each candidate."""
    squared_errors: Values
    """Sum over the one-step errors after the start."""
    errors: int = 0

    def forecast(self, candidates: Candidates, horizon: int) -> Values:
        """Return the means of the next `horizon` values, one row for each candidate."""
        positions = (self.step + np.arange(horizon)) % candidates.period
        trends = self.trend[:, None] * damped_sums(candidates.phi, horizon)
        return self.level[:, None] + trends + self.seasonal[positions].T


def damped_sums(phi: Values, horizon: int) -> Values:
    """Return phi + phi² + … + phi^h for h of 1 to `horizon`, one row for each phi."""
    return np.cumsum(phi[:, None] ** np.arange(1, horizon + 1), axis=1)


def spread(candidate: Candidates, horizon: int) -> Values:
    """Return the standard deviation of the h-step error over that of one step, for h of 1 to `horizon`.

    sqrt(1 + Σ c(j)², j < h) with c(j) = alpha + beta (phi + … + phi^j), + gamma where m divides j (2008,
    table 6.1).
    """
    steps = np.arange(1, horizon)
    weights = candidate.alpha + candidate.beta * damped_sums(candidate.phi, horizon)[0, : horizon - 1]
    if candidate.period > 1:
        weights = weights + candidate.gamma * (steps % candidate.period == 0)
    variances: Values = 1 + np.concatenate(([0.0], np.cumsum(weights**2)))
    return np.sqrt(variances)


def start_steps(period: int) -> int:
    """Return how many steps the first states of a period are taken from."""
    return START_PERIODS * period if period > 1 else START_STEPS


def walk(values: Values, candidates: Candidates, stops: Sequence[int]) -> Iterator[State]:
    """Run over the values and yield the state when so many of them, in rising order, were seen.

    Each yielded state is the running one: read it before going on.
    """
    state = _first_state(values, candidates)
    counted_from = start_steps(candidates.period)
    for stop in stops:
        _advance(state, values, candidates, stop, counted_from)
        yield state


def _advance(state: State, values: Values, candidates: Candidates, stop: int, counted_from: int) -> None:
    alpha, beta, gamma, phi = candidates.alpha, candidates.beta, candidates.gamma, candidates.phi
    level, trend, seasonal, period = state.level, state.trend, state.seasonal, candidates.period
    for step, value in enumerate(values[state.step : stop].tolist(), start=state.step):
        trend = phi * trend
        level = level + trend
        if math.isnan(value):
            continue
        position = seasonal[step % period]
        error = value - level - position
        level = level + alpha * error
        trend = trend + beta * error
        position += gamma * error
        if step >= counted_from:
            state.squared_errors += error * error
            state.errors += 1
    state.level, state.trend, state.step = level, trend, stop


def _first_state(values: Values, candidates: Candidates) -> State:
    """Level: mean of the start. Season: mean deviation of each position from the mean of its own period."""
    count, period = len(candidates), candidates.period
    start = values[: start_steps(period)]
    level = _mean(start)
    seasonal = np.zeros((period, count))
    if period > 1:
        periods = start.reshape(START_PERIODS, period)
        deviations = periods - np.array([[_mean(row)] for row in periods])
        known = ~np.isnan(deviations)
        sums = np.where(known, deviations, 0.0).sum(axis=0)
        seasonal += (sums / np.maximum(known.sum(axis=0), 1))[:, None]
    return State(0, np.full(count, level), np.zeros(count), seasonal, np.zeros(count))


def _mean(values: Values) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0
