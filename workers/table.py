"""The chosen columns of a CSV file in UTF-8, row by row, in one pass and bounded memory."""

from __future__ import annotations

import csv
import difflib
import os
from operator import itemgetter
from typing import TYPE_CHECKING, BinaryIO

from orchestrator import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Report = Callable[[float], None]

MAX_RECORD_BYTES = 65_536
REPORTS = 20
_SHOWN_COLUMNS = 500
_SHOWN_CHARACTERS = 64


class FileChangedError(Exception):
    """The file was written to while it was read; the task may be tried again."""


def read_columns(
    file: BinaryIO, columns: Sequence[str], report: Report
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield row number (from 1, header and blank lines not counted) and the texts of `columns` (two or more).

    `report` gets the fraction read, at most REPORTS times. Raises PermanentError naming the row for what is
    not CSV of the header's width, and FileChangedError for a file written to meanwhile.
    """
    before = os.fstat(file.fileno())
    lines = _Lines(file)
    reader = csv.reader(lines, strict=True)
    row = -1
    try:
        header = next(reader, [])
        pick = _picker(header, columns)
        row, width = 0, len(header)
        mark = step = max(1, before.st_size // REPORTS)
        for fields in reader:
            lines.record_bytes = 0
            if not fields:
                continue
            row += 1
            if len(fields) != width:
                raise PermanentError(
                    f"row {row}: has {len(fields)} fields, the header {width}; check its commas and quotes"
                )
            yield row, pick(fields)
            if lines.read_bytes >= mark:
                report(min(1.0, lines.read_bytes / before.st_size))
                mark += step
    except (csv.Error, _TextError) as error:
        where = f"row {row + 1}" if row >= 0 else "header (row 0)"
        raise PermanentError(f"{where}: {error}; write the file as CSV in UTF-8") from None
    after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise FileChangedError("the file changed while it was read")


class _TextError(ValueError):
    """The bytes of a line are not text of bounded length."""


class _Lines:
    """The decoded lines of a file; counts what it read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read_bytes = 0
        self.record_bytes = 0
        """Bytes since this was last set to 0: a quoted field may span lines."""

    def __iter__(self) -> Iterator[str]:
        encoding = "utf-8-sig"
        while line := self._file.readline(MAX_RECORD_BYTES + 1):
            self.read_bytes += len(line)
            self.record_bytes += len(line)
            if self.record_bytes > MAX_RECORD_BYTES:
                raise _TextError(f"is longer than {MAX_RECORD_BYTES} bytes")
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError as error:
                raise _TextError(f"is not UTF-8 text ({error.reason})") from None
            if "\0" in text:
                raise _TextError("holds a NUL character")
            yield text
            encoding = "utf-8"


def _picker(header: list[str], columns: Sequence[str]) -> Callable[[list[str]], tuple[str, ...]]:
    for column in columns:
        if header.count(column) > 1:
            raise PermanentError(f"header (row 0): column {column} stands there twice; keep one of the two")
    absent = [column + _near(column, header) for column in columns if column not in header]
    if absent:
        raise PermanentError(
            f"header (row 0): missing column {'; '.join(absent)}; name the trace's columns in the parameters"
        )
    return itemgetter(*[header.index(column) for column in columns])


def _near(column: str, header: list[str]) -> str:
    names = [name[:_SHOWN_CHARACTERS] for name in header[:_SHOWN_COLUMNS]]
    near = difflib.get_close_matches(column, names, n=1)
    return f" (is {near[0]!r} meant?)" if near else ""
