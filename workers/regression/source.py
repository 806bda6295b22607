"""Values in time order: a series, or plain numbers whose order alone is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator import PermanentError
from workers.focus.values import FieldError
from workers.series import SeriesSpec, load_series
from workers.series.points import read_value

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from workers.series import Series


@dataclass(frozen=True, slots=True)
class Sample:
    """Values in time order; without a series nothing is known of their times."""

    values: NDArray[np.float64]
    series: Series | None = None
    notes: list[str] = field(default_factory=list)


def load_sample(given: SeriesSpec | list[Any], folder: Path, *, name: str) -> Sample:
    """Return the sample of a loaded SampleField. A file is read from `folder`, and from nowhere else.

    Raises PermanentError, beginning with `name` and naming row and column, for a value that is none and for
    no value at all.
    """
    if isinstance(given, SeriesSpec):
        series = load_series(given, folder, name=name)
        return Sample(series.values, series, [f"{name}: {note}" for note in series.notes])
    values = np.empty(len(given))
    for row, value in enumerate(given, start=1):
        try:
            values[row - 1] = read_value(value)
        except FieldError as error:
            raise PermanentError(f"{name}: row {row}, column value: {error}") from None
    if not len(values):
        raise PermanentError(f"{name}: has no values; give at least one")
    return Sample(values)
