"""Where a trace comes from: a CSV file of the data folder, or rows inside the request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator import PermanentError
from workers.data_folder import open_inside
from workers.serving.trace import INLINE_NAMES, Names, read_lengths, read_requests
from workers.table import read_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from workers.serving.trace import Trace
    from workers.table import Report

WIDTH = 3
"""Fields of a whole request: arrival, context tokens, generated tokens."""


def load_requests(given: dict[str, Any] | list[Any], folder: Path, report: Report) -> Trace:
    """Return the trace with its arrivals. A file is read from `folder`, and from nowhere else."""
    if isinstance(given, list):
        return read_requests(_inline(given, (WIDTH,)), INLINE_NAMES)
    names = _names(given)
    with open_inside(folder, given["path"]) as file:
        columns = (names.arrival, names.context, names.generated)
        return read_requests(read_columns(file, columns, report), names)


def load_lengths(given: dict[str, Any] | list[Any], folder: Path, report: Report) -> Trace:
    """Return the lengths alone: arrivals may be there, but are not read."""
    if isinstance(given, list):
        return read_lengths(_inline(given, (WIDTH - 1, WIDTH)), INLINE_NAMES)
    names = _names(given)
    with open_inside(folder, given["path"]) as file:
        return read_lengths(read_columns(file, (names.context, names.generated), report), names)


def _names(given: dict[str, Any]) -> Names:
    return Names(given["arrival"], given["context_tokens"], given["generated_tokens"])


def _inline(rows: list[Any], widths: tuple[int, ...]) -> Iterator[tuple[int, Sequence[Any]]]:
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, list) or len(row) not in widths:
            wanted = "[arrival, context_tokens, generated_tokens]"
            if WIDTH - 1 in widths:
                wanted = f"[context_tokens, generated_tokens] or {wanted}"
            raise PermanentError(f"row {number}: is not {wanted}; correct it")
        yield number, row
