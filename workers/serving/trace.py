"""A trace of requests: when each arrived, how many tokens it brought, how many it was answered with."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator import PermanentError
from workers.serving.values import (
    NANOSECONDS,
    FieldError,
    iso_nanoseconds,
    looks_like_seconds,
    seconds_nanoseconds,
    token_count,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

MAX_REQUESTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests in order of arrival; those of one moment in the order of their rows."""

    arrivals: NDArray[np.float64]
    """Seconds since the first arrival; empty where only the lengths were read."""
    context: NDArray[np.int64]
    generated: NDArray[np.int64]
    rows: NDArray[np.int64]
    """The row each request came from, counted from 1."""
    notes: list[str]

    def __len__(self) -> int:
        return len(self.context)


@dataclass(frozen=True, slots=True)
class Names:
    """What the fields are called in error messages: column names of the file, or of an inline row."""

    arrival: str
    context: str
    generated: str


INLINE_NAMES = Names("arrival", "context_tokens", "generated_tokens")


def read_lengths(rows: Iterable[tuple[int, Sequence[Any]]], names: Names) -> Trace:
    """Return a trace without arrivals, from rows whose last two fields are context and generated tokens."""
    context, generated, numbers = array("q"), array("q"), array("q")
    for row, fields in rows:
        _require_room(row)
        context.append(_parsed(token_count, fields[-2], row, names.context))
        generated.append(_parsed(token_count, fields[-1], row, names.generated))
        numbers.append(row)
    _require_any(numbers)
    return Trace(np.empty(0), _vector(context), _vector(generated), _vector(numbers), [])


def read_requests(rows: Iterable[tuple[int, Sequence[Any]]], names: Names) -> Trace:
    """Return a trace from rows of arrival, context tokens and generated tokens.

    The first arrival decides whether all are ISO 8601 times or seconds. Rows out of order are sorted, which a
    note says. Raises PermanentError naming row and column for a value that is none, for no row at all, and
    for more than MAX_REQUESTS rows.
    """
    arrivals, context, generated, numbers = array("q"), array("q"), array("q"), array("q")
    read_time: Callable[[Any], int] | None = None
    for row, (arrival, context_tokens, generated_tokens) in rows:
        _require_room(row)
        if read_time is None:
            read_time = seconds_nanoseconds if looks_like_seconds(arrival) else iso_nanoseconds
        try:
            arrivals.append(read_time(arrival))
        except FieldError as error:
            raise bad_field(row, names.arrival, str(error)) from None
        context.append(_parsed(token_count, context_tokens, row, names.context))
        generated.append(_parsed(token_count, generated_tokens, row, names.generated))
        numbers.append(row)
    _require_any(numbers)
    return _in_order(*map(_vector, (arrivals, context, generated, numbers)))


def bad_field(row: int, column: str, problem: str) -> PermanentError:
    """Return the error for one field; rows are counted from 1, the header not included."""
    return PermanentError(f"row {row}, column {column}: {problem}")


def _in_order(
    nanoseconds: NDArray[np.int64],
    context: NDArray[np.int64],
    generated: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> Trace:
    notes = []
    late = int(np.count_nonzero(np.diff(nanoseconds) < 0))
    if late:
        order = np.argsort(nanoseconds, kind="stable")
        nanoseconds, context, generated, rows = (
            column[order] for column in (nanoseconds, context, generated, rows)
        )
        notes.append(f"{late} rows arrive before the row above them; the requests were sorted by arrival")
    arrivals = (nanoseconds - nanoseconds[0]) / NANOSECONDS
    return Trace(arrivals, context, generated, rows, notes)


def _parsed(parse: Callable[[Any], int], value: Any, row: int, column: str) -> int:
    try:
        return parse(value)
    except FieldError as error:
        raise bad_field(row, column, str(error)) from None


def _vector(values: array[int]) -> NDArray[np.int64]:
    return np.frombuffer(values, dtype=np.int64)


def _require_room(row: int) -> None:
    if row > MAX_REQUESTS:
        raise PermanentError(
            f"row {row}: a trace may hold {MAX_REQUESTS} requests at most; cut it, or thin it"
        )


def _require_any(rows: array[int]) -> None:
    if not rows:
        raise PermanentError("the trace holds no requests; give at least one row")
