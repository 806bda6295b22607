"""Instances and their utilisation: series of the request, or a file with a row for each instance and time."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator import PermanentError
from workers.data_folder import open_inside
from workers.focus.values import MAX_KEY_CHARACTERS, FieldError
from workers.rightsizing.demand import measure
from workers.series import MAX_POINTS, load_series
from workers.series.points import read_time, read_value
from workers.series.series import build_series
from workers.table import read_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from decimal import Decimal
    from pathlib import Path

    from workers.rightsizing.demand import Demand

MAX_INSTANCES = 5_000
ROLES = ("instance_id", "size", "time", "cpu", "memory")
"""Columns of a file; `memory` may be absent."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance as it is now."""

    id: str
    size: str
    cpu: Demand
    memory: Demand | None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Percentiles:
    """At which percentile (0 to 100) each resource is judged."""

    cpu: Decimal
    memory: Decimal


def inline_instances(
    given: list[dict[str, Any]], percentiles: Percentiles, folder: Path
) -> Iterator[Instance]:
    """Yield the instances of a request in their order; series files are read from `folder`."""
    for item in given:
        demands: dict[str, Demand] = {}
        notes: list[str] = []
        for name, percentile in (("cpu", percentiles.cpu), ("memory", percentiles.memory)):
            if item[name] is not None:
                where = f"instance {item['id']}, {name}"
                series = load_series(item[name], folder, name=where)
                demands[name] = measure(series, percentile, name=where)
                notes += [f"{name}: {note}" for note in series.notes]
        yield Instance(item["id"], item["size"], demands["cpu"], demands.get("memory"), notes)


@dataclass(slots=True)
class _Rows:
    size: str
    first_row: int
    times: array[int] = field(default_factory=lambda: array("q"))
    cpu: array[float] = field(default_factory=lambda: array("d"))
    memory: array[float] = field(default_factory=lambda: array("d"))


@dataclass(frozen=True, slots=True)
class UtilisationFile:
    """A CSV file of the data folder, and the column of each of ROLES (no memory: None)."""

    folder: Path
    path: str
    columns: dict[str, str | None]


def file_instances(
    source: UtilisationFile,
    wanted: list[str] | None,
    percentiles: Percentiles,
    report: Callable[[float], None],
) -> Iterator[Instance]:
    """Yield the instances of a file, in the order in which they first stand there.

    `wanted` names the instances, None for all.
    Raises PermanentError naming row and column, for more than MAX_INSTANCES or MAX_POINTS, and for an
    instance of two sizes.
    """
    columns = source.columns
    roles = [role for role in ROLES if columns.get(role)]
    found: dict[str, _Rows] = {}
    asked = None if wanted is None else frozenset(wanted)
    count = 0
    with open_inside(source.folder, source.path) as file:
        for row, texts in read_columns(file, [str(columns[role]) for role in roles], report):
            if asked is None or texts[0] in asked:
                count += 1
                if count > MAX_POINTS:
                    raise PermanentError(f"row {row}: more than {MAX_POINTS} rows; choose instance_ids")
                _add(found, row, dict(zip(roles, texts, strict=True)), columns)
    if not count:
        raise PermanentError("row 1: no row is of an instance asked for; check the file and instance_ids")
    while found:
        name = next(iter(found))
        yield _instance(name, found.pop(name), percentiles)


def _add(found: dict[str, _Rows], row: int, texts: dict[str, str], columns: dict[str, str | None]) -> None:
    name, size = texts["instance_id"], texts["size"]
    rows = found.get(name)
    if rows is None:
        for role in ("instance_id", "size"):
            if not 0 < len(texts[role]) <= MAX_KEY_CHARACTERS:
                raise PermanentError(
                    f"row {row}, column {columns[role]}: give a text of 1 to {MAX_KEY_CHARACTERS} characters"
                )
        if len(found) == MAX_INSTANCES:
            raise PermanentError(f"row {row}: more than {MAX_INSTANCES} instances; choose instance_ids")
        rows = found[name] = _Rows(size, row)
    if size != rows.size:
        raise PermanentError(
            f"row {row}, column {columns['size']}: instance {name[:60]} is {size[:60]} here and "
            f"{rows.size[:60]} in row {rows.first_row}; give the time since it was resized"
        )
    role = "time"
    try:
        rows.times.append(read_time(texts[role]))
        role = "cpu"
        rows.cpu.append(read_value(texts[role]))
        role = "memory"
        if role in texts:
            rows.memory.append(read_value(texts[role]))
    except FieldError as error:
        raise PermanentError(f"row {row}, column {columns[role]}: {error}") from None


def _instance(name: str, rows: _Rows, percentiles: Percentiles) -> Instance:
    cpu = build_series(rows.times, rows.cpu)
    memory = None
    if rows.memory:
        series = build_series(rows.times, rows.memory)
        memory = measure(series, percentiles.memory, name=f"instance {name[:60]}, memory")
    demand = measure(cpu, percentiles.cpu, name=f"instance {name[:60]}, cpu")
    return Instance(name, rows.size, demand, memory, list(cpu.notes))
