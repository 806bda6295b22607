"""Where records come from: a CSV file or the rows of a request, each readable twice.

Both pick the columns they are asked for, by default those of a Charge.
"""

from __future__ import annotations

import csv
import difflib
import json
import os
import zlib
from operator import itemgetter
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from orchestrator import PermanentError
from workers.focus.charge import COLUMNS, bad_field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from workers.focus.charge import Record

    Report = Callable[[float], None]

NEEDED_COLUMNS = ("BilledCost", "ChargePeriodStart")
"""Without these there is no total and no period."""
FILE_COLUMNS = (*NEEDED_COLUMNS, "ChargePeriodEnd", "EffectiveCost", "ListCost", "ServiceName")
"""FOCUS 1.0 makes these mandatory, so a file without them is not what it says it is."""
MAX_RECORD_BYTES = 262_144
REPORTS_PER_PASS = 20
SAFE_FLOAT_DIGITS = 15
"""A JSON number of so many significant digits comes through binary floating point unchanged."""


class FileChangedError(Exception):
    """The file was written to while it was read; the task may be tried again."""


class Source(Protocol):
    """Records in their order, each with its row number (from 1, the header not counted)."""

    @property
    def missing(self) -> frozenset[str]:
        """Columns that no record has; known once the records were read to the end."""

    def records(self, report: Report) -> Iterator[tuple[int, Record]]:
        """Read from the beginning; `report` gets the fraction read, at most REPORTS_PER_PASS times."""


class FileSource:
    """A CSV file in UTF-8 with a header. Read again with other bytes, it raises FileChangedError."""

    def __init__(self, file: BinaryIO, columns: Sequence[str] = COLUMNS) -> None:
        self._file = file
        self._columns = columns
        self._size = os.fstat(file.fileno()).st_size
        self._checksum: int | None = None
        self.missing: frozenset[str] = frozenset()

    def records(self, report: Report) -> Iterator[tuple[int, Record]]:
        """See Source. Raises PermanentError, naming the row, for what is not CSV of the header's width."""
        lines = _Lines(self._file, self._size)
        reader = csv.reader(lines, strict=True)
        row = -1
        try:
            header = next(reader, [])
            pick, self.missing = _positions(header, self._columns)
            row = 0
            lines.record_bytes = 0
            mark = step = max(1, self._size // REPORTS_PER_PASS)
            for fields in reader:
                lines.record_bytes = 0
                if not fields:
                    continue
                row += 1
                if len(fields) != len(header):
                    raise _wrong_width(row, fields, header)
                fields.append("")
                yield row, pick(fields)
                if lines.read_bytes >= mark:
                    report(lines.read_bytes / self._size)
                    mark = lines.read_bytes + step
        except csv.Error as error:
            raise PermanentError(
                f"row {row + 1}: {error}; write the file as CSV with commas and quotes"
            ) from None
        except _TextError as error:
            raise _refused(row + 1, str(error)) from None
        self._check_unchanged(lines)

    def _check_unchanged(self, lines: _Lines) -> None:
        if lines.read_bytes != self._size or self._checksum not in (None, lines.checksum):
            raise FileChangedError("the file changed while it was read")
        self._checksum = lines.checksum


class _TextError(ValueError):
    """The bytes of a line are not text of bounded length."""


class _Lines:
    """The decoded lines of a file, none longer than a record may be; counts and sums up what it read."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self.read_bytes = 0
        self.record_bytes = 0
        """Bytes since this was last set to 0: a quoted field may span lines."""
        self.checksum = 0

    def __iter__(self) -> Iterator[str]:
        self._file.seek(0)
        encoding = "utf-8-sig"
        while line := self._file.readline(MAX_RECORD_BYTES + 1):
            self.read_bytes += len(line)
            self.record_bytes += len(line)
            self.checksum = zlib.crc32(line, self.checksum)
            if self.read_bytes > self._size:
                raise FileChangedError("the file grew while it was read")
            if self.record_bytes > MAX_RECORD_BYTES:
                raise _TextError(f"is longer than {MAX_RECORD_BYTES} bytes; check its quotes and line ends")
            yield _decoded(line, encoding)
            encoding = "utf-8"


def _decoded(line: bytes, encoding: str) -> str:
    try:
        text = line.decode(encoding)
    except UnicodeDecodeError as error:
        raise _TextError(f"is not UTF-8 text ({error.reason}); save the file as UTF-8") from None
    if "\0" in text:
        raise _TextError("holds a NUL character; save the file as UTF-8 text")
    return text


def _refused(row: int, problem: str) -> PermanentError:
    return PermanentError(f"row {row}: {problem}" if row else f"header (row 0): {problem}")


class RowSource:
    """The rows of a request: JSON objects with FOCUS column names as keys; unknown keys are ignored."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> None:
        self._rows = rows
        self._columns = columns
        self.missing = frozenset(column for column in columns if not any(column in row for row in rows))

    def records(self, report: Report) -> Iterator[tuple[int, Record]]:
        """See Source."""
        step = max(1, len(self._rows) // REPORTS_PER_PASS)
        for number, row in enumerate(self._rows, start=1):
            yield number, tuple([_field_text(number, column, row.get(column)) for column in self._columns])
            if number % step == 0 and number // step <= REPORTS_PER_PASS:
                report(number / len(self._rows))


def _field_text(row: int, column: str, value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case dict() if column == "Tags":
            return json.dumps(value)
        case bool():
            raise bad_field(row, column, f"holds {value!r}; give a text or a number")
        case int():
            return _number_text(row, column, value)
        case float():
            text = repr(value)
            if (
                sum(character.isdigit() for character in text.partition("e")[0].strip("0."))
                > SAFE_FLOAT_DIGITS
            ):
                raise bad_field(
                    row, column, f"{text} has too many digits for a JSON number; send it as a text"
                )
            return text
        case _:
            raise bad_field(row, column, f"holds a {type(value).__name__}; give a text or a number")


def _number_text(row: int, column: str, value: int) -> str:
    try:
        return str(value)
    except ValueError:
        raise bad_field(row, column, "holds a number of thousands of digits; correct it") from None


def _positions(
    header: list[str], columns: Sequence[str]
) -> tuple[Callable[[list[str]], Record], frozenset[str]]:
    """Return what picks columns out of a row (missing ones from a blank appended to it), and the missing."""
    absent = [column for column in FILE_COLUMNS if column not in header]
    if absent:
        named = "; ".join(column + _near(column, header) for column in absent)
        raise PermanentError(
            f"header (row 0): missing column {named}; export as FOCUS 1.0, comma separated, with a header"
        )
    for column in columns:
        if header.count(column) > 1:
            raise PermanentError(f"header (row 0): column {column} stands there twice; keep one of the two")
    missing = frozenset(columns) - frozenset(header)
    return itemgetter(*[-1 if column in missing else header.index(column) for column in columns]), missing


def _near(column: str, header: list[str]) -> str:
    near = difflib.get_close_matches(column, [name[:64] for name in header[:500]], n=1)
    return f" (is {near[0]!r} meant?)" if near else ""


def _wrong_width(row: int, fields: list[str], header: list[str]) -> PermanentError:
    where = (
        f"column {header[len(fields)][:64]} is missing"
        if len(fields) < len(header)
        else (f"after column {header[-1][:64]} there is more")
    )
    return PermanentError(
        f"row {row}: has {len(fields)} fields where the header has {len(header)}, so {where}; "
        "check its commas and quotes"
    )
