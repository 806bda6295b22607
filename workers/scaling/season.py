"""Which seasons a series can have: a day and a week where they fit, or the one that is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import PermanentError

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_SECONDS = 86_400.0
WEEK_SECONDS = 604_800.0
MIN_PERIODS = 3
"""Periods that must be known: two to start from, and one to judge by."""
MAX_PERIOD_STEPS = 6_000
_TOLERANCE = 1e-6
NO_SEASON = 1


def candidate_periods(
    known_steps: int, step_seconds: float, season_seconds: float | None
) -> tuple[list[int], dict[str, str]]:
    """Return the periods in steps to try, and for each that is left out why.

    A given season is the only one tried; without one, no season, a day and a week are. Raises PermanentError
    for a given season that is no whole number of steps from 2 to MAX_PERIOD_STEPS.
    """
    if season_seconds is None:
        wanted = {"season_of_a_day": DAY_SECONDS, "season_of_a_week": WEEK_SECONDS}
        periods = [NO_SEASON]
    else:
        wanted, periods = {"season": season_seconds}, []
    reasons: dict[str, str] = {}
    for name, seconds in wanted.items():
        reason = _unfit(seconds, step_seconds)
        if reason and season_seconds is not None:
            raise PermanentError(f"season_seconds: {reason}")
        reason = reason or _too_short(seconds, step_seconds, known_steps)
        if reason:
            reasons[name] = reason
        else:
            periods.append(round(seconds / step_seconds))
    return periods or [NO_SEASON], reasons


def naive_period(periods: Sequence[int], chosen: int) -> int:
    """Return the period of the naive forecast: the chosen one, else the shortest season that was tried."""
    return chosen if chosen != NO_SEASON else min((p for p in periods if p != NO_SEASON), default=NO_SEASON)


def _unfit(seconds: float, step_seconds: float) -> str | None:
    steps = seconds / step_seconds
    if abs(steps - round(steps)) > _TOLERANCE * steps:
        return f"{seconds:g} s are no whole number of steps of {step_seconds:g} s; give step_seconds"
    if not NO_SEASON < round(steps) <= MAX_PERIOD_STEPS:
        return f"{seconds:g} s are {steps:.0f} steps; a season has 2 to {MAX_PERIOD_STEPS}, give step_seconds"
    return None


def _too_short(seconds: float, step_seconds: float, known_steps: int) -> str | None:
    if known_steps * step_seconds >= MIN_PERIODS * seconds:
        return None
    return (
        f"the {known_steps} steps before the back-test last {known_steps * step_seconds:g} s; a season of "
        f"{seconds:g} s shows over {MIN_PERIODS} of it or more"
    )
