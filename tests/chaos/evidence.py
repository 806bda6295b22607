"""All that the checker is given: what callers, handlers, the injector and the ledger say."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter

    from tests.chaos.book import Accepted, Cancellation, Told
    from tests.chaos.injector import Strike
    from tests.chaos.journal import Run
    from tests.chaos.stack import Stack


@dataclass(frozen=True, slots=True)
class Row:
    """A task as the ledger has it at the end of everything."""

    task_id: str
    status: str
    error_code: str | None
    result: str | None
    attempt: int


@dataclass(frozen=True, slots=True)
class End:
    """A write that ended a task, or changed one that had ended; `at` is seconds of CLOCK_BOOTTIME."""

    task_id: str
    status: str
    at: float


@dataclass(frozen=True)
class Evidence:
    """The whole case."""

    accepted: dict[str, Accepted]
    told: list[Told]
    cancellations: list[Cancellation]
    answers: Counter[str]
    strikes: list[Strike]
    runs: list[Run]
    rows: dict[str, Row]
    ends: list[End] = field(default_factory=list)


def read_rows(stack: Stack) -> dict[str, Row]:
    """Return every task of the ledger."""
    query = "SELECT id::text, status, error_code, result::text, attempt FROM tasks"
    rows = stack.postgres.run(query, database=stack.database)
    return {row[0]: Row(row[0], row[1], row[2], _normal(row[3]), row[4]) for row in rows}


def read_ends(stack: Stack, *, epoch_of_boot: float) -> list[End]:
    """Return what PostgreSQL itself saw end, in order; `epoch_of_boot` is the epoch time at boottime 0."""
    query = "SELECT task_id::text, status, extract(epoch FROM at)::float8 FROM chaos_ends ORDER BY at"
    rows = stack.postgres.run(query, database=stack.database)
    return [End(row[0], row[1], row[2] - epoch_of_boot) for row in rows]


def count_unfinished(stack: Stack) -> int:
    """Return how many tasks have not ended."""
    query = "SELECT count(*) FROM tasks WHERE status NOT IN ('completed', 'failed', 'timeout', 'cancelled')"
    return int(stack.postgres.run(query, database=stack.database)[0][0])


def _normal(result: str | None) -> str:
    return json.dumps(None if result is None else json.loads(result), sort_keys=True)
