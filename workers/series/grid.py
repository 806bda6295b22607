"""A series on evenly spaced steps, NaN where a step has no point: what seasonal methods work on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from orchestrator import PermanentError
from workers.series.points import MICROSECONDS
from workers.series.series import time_text

if TYPE_CHECKING:
    from workers.series.series import Series, Values

MAX_STEPS = 4_000_000
_OFF_GRID = 0.05
"""Points further from their step than this part of it are worth a note."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Step i begins at `start` + i * `step_seconds`; its value is the mean of its points, or NaN."""

    start: np.datetime64
    step_seconds: float
    values: Values
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def missing(self) -> int:
        """Steps without a point."""
        return int(np.isnan(self.values).sum())

    def time_text(self, index: int) -> str:
        """Return the time of a step, also of one before or after the series, as ISO 8601 text in UTC."""
        return time_text(self.start + np.timedelta64(round(index * self.step_seconds * MICROSECONDS), "us"))

    def latest(self, steps: int) -> Grid:
        """Return the last steps; all of them where there are no more."""
        first = max(0, len(self) - steps)
        start = self.start + np.timedelta64(round(first * self.step_seconds * MICROSECONDS), "us")
        return Grid(start, self.step_seconds, self.values[first:], self.notes)


def onto_grid(series: Series, step_seconds: float | None = None) -> Grid:
    """Return a series of two points or more on steps of `step_seconds` (by default its median step).

    Each point goes to the nearest step counted from the first point; with a given step that is longer than
    the series' own, to the step it falls in, so that steps are means over their time. Raises PermanentError
    where that needs more than MAX_STEPS steps.
    """
    if series.step_seconds is None:
        raise PermanentError("a single point has no step; give two points or more")
    step = step_seconds or series.step_seconds
    offsets = (series.seconds - series.seconds[0]) / step
    if offsets[-1] >= MAX_STEPS:
        raise PermanentError(
            f"the series lasts {offsets[-1]:.0f} steps of {step:g} s, more than {MAX_STEPS}; "
            "check its times, or give a longer step"
        )
    is_coarser = step > series.step_seconds
    slots = (np.floor(offsets + 1e-9) if is_coarser else np.rint(offsets)).astype(np.int64)
    counts = np.bincount(slots)
    sums = np.bincount(slots, weights=series.values)
    values = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    notes = [] if is_coarser else _off_grid_notes(offsets - slots, step)
    return Grid(series.times[0], step, values, notes)


def _off_grid_notes(distances: Values, step: float) -> list[str]:
    moved = int((np.abs(distances) > _OFF_GRID).sum())
    if not moved:
        return []
    farthest = float(np.abs(distances).max()) * step
    return [
        f"points off the multiples of {step:g} s: {moved}; moved to the nearest, by {farthest:g} s at most"
    ]
