"""A series in the order of time, and what had to be done to have it so."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workers.series.points import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Times = NDArray[np.datetime64]
    Values = NDArray[np.float64]

DATA_DIR_VARIABLE = "ORCHESTRATOR_DATA_DIR"
GAP_STEPS = 1.5
"""Two points further apart than this many median steps have a gap between them."""


def data_folder() -> Path:
    """Return the folder that series files are in, read from the environment at every call."""
    return Path(os.environ.get(DATA_DIR_VARIABLE) or ".")


@dataclass(frozen=True, slots=True)
class Series:
    """At least one point; times strictly increasing, values finite."""

    times: Times
    """UTC, datetime64[us]."""
    values: Values
    step_seconds: float | None
    """The median distance of neighbours; None for a single point."""
    gaps: int
    """Pairs of neighbours more than GAP_STEPS median steps apart."""
    duplicates: int
    """Points left out because their time stood there before: each time keeps the mean of its values."""
    notes: list[str] = field(default_factory=list)
    """What is odd in the input and what was done about it, in sentences."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def seconds(self) -> Values:
        """The times as seconds since 1970-01-01, with fractions."""
        return self.times.astype(np.int64) / MICROSECONDS

    @property
    def is_constant(self) -> bool:
        """Whether all values are the same."""
        return bool((self.values == self.values[0]).all())

    def time_text(self, index: int) -> str:
        """Return a time as ISO 8601 text in UTC."""
        return time_text(self.times[index])


def time_text(time: np.datetime64) -> str:
    """Return a time as ISO 8601 text, with a fraction of the second only where it has one."""
    return str(np.datetime_as_string(time, unit="auto" if _has_fraction(time) else "s")) + "Z"


def _has_fraction(time: np.datetime64) -> bool:
    return bool(time != time.astype("datetime64[s]"))


def build_series(microseconds: Sequence[int], values: Sequence[float]) -> Series:
    """Sort points by time, merge equal times to the mean of their values, and find the step and the gaps.

    `microseconds` since 1970-01-01 UTC; takes at least one point. Every change is told in the notes.
    """
    times = np.asarray(microseconds, dtype=np.int64)
    numbers = np.asarray(values, dtype=np.float64)
    notes: list[str] = []
    distances = np.diff(times)
    if (distances < 0).any():
        notes.append(f"points earlier than the one before them: {int((distances < 0).sum())}; sorted by time")
        order = np.argsort(times, kind="stable")
        times, numbers = times[order], numbers[order]
        distances = np.diff(times)
    duplicates = int((distances == 0).sum())
    if duplicates:
        times, numbers = _merged(times, numbers)
        distances = np.diff(times)
        notes.append(f"points that repeat a time: {duplicates}; each time has the mean of its values")
    step = float(np.median(distances)) if len(distances) else None
    gaps = 0 if step is None else int((distances > GAP_STEPS * step).sum())
    if gaps and step is not None:
        longest = float(distances.max()) / MICROSECONDS
        notes.append(
            f"gaps longer than {GAP_STEPS} median steps of {step / MICROSECONDS:g} s: {gaps}, "
            f"the longest of {longest:g} s"
        )
    return Series(
        times.astype("datetime64[us]"),
        numbers,
        None if step is None else step / MICROSECONDS,
        gaps,
        duplicates,
        notes,
    )


def _merged(times: NDArray[np.int64], values: Values) -> tuple[NDArray[np.int64], Values]:
    unique, first, counts = np.unique(times, return_index=True, return_counts=True)
    return unique, np.add.reduceat(values, first) / counts
