"""Loading a series from a CSV file or from inline points; every refusal names row and column."""

from __future__ import annotations

import csv
import difflib
from array import array
from typing import TYPE_CHECKING, Any, BinaryIO

from orchestrator import PermanentError
from workers.data_folder import open_inside
from workers.focus.values import FieldError
from workers.series.points import read_time, read_value
from workers.series.series import build_series

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from workers.series.field import SeriesSpec
    from workers.series.series import Series

MAX_POINTS = 2_000_000
MAX_LINE_BYTES = 65_536
_POINT_FIELDS = 2
_NAME_CHARACTERS = 64


def load_series(spec: SeriesSpec, folder: Path, *, name: str = "series") -> Series:
    """Return the series a spec names; files are looked for in `folder` and nowhere else.

    Raises PermanentError, beginning with `name` and naming row (from 1, the header not counted) and column,
    for what is no series: no point at all, a value or time that is none, NaN or infinite, more than
    MAX_POINTS.
    """
    if spec.path is None:
        return _collected(_inline(spec.points, name), ("time", "value"), name)
    with open_inside(folder, spec.path) as file:
        return _collected(_rows(file, spec, name), (spec.time, spec.value), name)


def _collected(points: Iterable[tuple[Any, Any]], columns: tuple[str, str], name: str) -> Series:
    times, values = array("q"), array("d")
    column = columns[0]
    for time, value in points:
        if len(times) == MAX_POINTS:
            raise PermanentError(f"{name}: has more than {MAX_POINTS} points; give a part, or sums of steps")
        try:
            column = columns[0]
            times.append(read_time(time))
            column = columns[1]
            values.append(read_value(value))
        except FieldError as error:
            where = f"row {len(values) + 1}, column {column[:_NAME_CHARACTERS]}"
            raise PermanentError(f"{name}: {where}: {error}") from None
    if not values:
        raise PermanentError(f"{name}: has no points; give at least one")
    return build_series(times, values)


def _inline(points: Iterable[Any], name: str) -> Iterator[tuple[Any, Any]]:
    for row, point in enumerate(points, start=1):
        if not isinstance(point, (list, tuple)) or len(point) != _POINT_FIELDS:
            raise PermanentError(f"{name}: row {row}: is no pair; give each point as [time, value]")
        yield point[0], point[1]


def _rows(file: BinaryIO, spec: SeriesSpec, name: str) -> Iterator[tuple[str, str]]:
    reader = csv.reader(_lines(file, name), strict=True)
    row = 0
    try:
        header = next(reader, [])
        time, value = (_position(header, column, name) for column in (spec.time, spec.value))
        for fields in reader:
            if not fields:
                continue
            row += 1
            if len(fields) != len(header):
                raise PermanentError(
                    f"{name}: row {row}: has {len(fields)} fields where the header has {len(header)}; "
                    "check its commas and quotes"
                )
            yield fields[time], fields[value]
    except csv.Error as error:
        raise PermanentError(
            f"{name}: row {row + 1}: {error}; write the file as CSV with commas and quotes"
        ) from None


def _lines(file: BinaryIO, name: str) -> Iterator[str]:
    encoding = "utf-8-sig"
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise PermanentError(f"{name}: line {number}: is longer than {MAX_LINE_BYTES} bytes")
        try:
            yield line.decode(encoding)
        except UnicodeDecodeError:
            raise PermanentError(f"{name}: line {number}: is not UTF-8 text") from None
        encoding = "utf-8"


def _position(header: list[str], column: str, name: str) -> int:
    match header.count(column):
        case 1:
            return header.index(column)
        case 0:
            known = [text[:_NAME_CHARACTERS] for text in header[:500]]
            near = difflib.get_close_matches(column, known, n=1) or known[:5]
            problem = f"missing column {column[:_NAME_CHARACTERS]}; the file has {', '.join(near) or 'none'}"
        case _:
            problem = f"column {column[:_NAME_CHARACTERS]} stands there twice; keep one of the two"
    raise PermanentError(f"{name}: header (row 0): {problem}")
