"""Series on evenly spaced steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from orchestrator import PermanentError
from workers.series import onto_grid
from workers.series.series import build_series

if TYPE_CHECKING:
    from workers.series import Grid


def grid_of(points: list[tuple[float, float]], step_seconds: float | None = None) -> Grid:
    return onto_grid(
        build_series([round(t * 1e6) for t, _ in points], [value for _, value in points]), step_seconds
    )


def test_steps_without_a_point_are_missing() -> None:
    grid = grid_of([(0, 1), (60, 2), (180, 4), (240, 5)])
    assert [None if math.isnan(value) else value for value in grid.values] == [1, 2, None, 4, 5]
    assert (grid.missing, grid.step_seconds) == (1, 60)
    assert grid.time_text(5) == "1970-01-01T00:05:00Z"


def test_points_beside_their_step_are_moved_and_said_so() -> None:
    grid = grid_of([(0, 1), (60, 2), (130, 3), (180, 4)])
    assert grid.values.tolist() == [1, 2, 3, 4]
    assert grid.notes == ["points off the multiples of 60 s: 1; moved to the nearest, by 10 s at most"]


def test_a_longer_step_has_the_mean_of_the_points_that_fall_into_it() -> None:
    grid = grid_of([(60 * minute, minute) for minute in range(7)], step_seconds=180)
    assert grid.values.tolist() == [1, 4, 6]


def test_the_latest_steps_keep_their_times() -> None:
    grid = grid_of([(60 * minute, minute) for minute in range(7)])
    latest = grid.latest(2)
    assert (latest.values.tolist(), latest.time_text(0)) == ([5, 6], grid.time_text(5))
    assert len(grid.latest(100)) == 7


def test_a_single_point_and_endless_steps_are_refused() -> None:
    with pytest.raises(PermanentError, match="single point has no step"):
        grid_of([(0, 1)])
    with pytest.raises(PermanentError, match="more than 4000000"):
        grid_of([(0, 1), (1, 1), (2, 1), (10_000_000, 1)])
