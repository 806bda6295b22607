"""The recorder's statements: one a batch and table, in the order of ids, guarded by the transition table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert

from orchestrator.ledger import schema
from orchestrator.ledger.arrays import columns_of, unnest
from orchestrator.ledger.guards import TERMINAL_SQL, UNFINISHED_SQL, move_pairs_sql
from orchestrator.ledger.text import MAX_ENTRY, MAX_ERROR, MAX_NAME, storable
from orchestrator.tasks.state import TaskState

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Connection

RECORDER = "recorder"
_tasks = schema.tasks.c


@dataclass(frozen=True, slots=True)
class Position:
    """The last event whose effects are in the ledger: its id within a stream's life."""

    stream: str
    last_id: str


def read_position(connection: Connection, *, name: str = RECORDER) -> Position | None:
    """Return how far the ledger has come; None before the first batch."""
    table = schema.recorder_position.c
    row = connection.execute(select(table.stream, table.last_id).where(table.name == name)).one_or_none()
    return None if row is None else Position(*row)


def write_position(connection: Connection, stream: str, last_id: str, *, name: str = RECORDER) -> None:
    """Note how far the ledger has come once this transaction commits."""
    statement = insert(schema.recorder_position).values(name=name, stream=stream, last_id=last_id)
    changed = {"stream": stream, "last_id": last_id}
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))


_LOCKED = (
    "id",
    "status",
    "delivery",
    "series",
    "attempt",
    "retry_count",
    "max_retries",
    "retry_delay_seconds",
    "worker_losses",
    "shared_losses",
    "agent_id",
    "incarnation",
    "token",
    "log_lines",
)
"""The columns that TaskState begins with."""


def lock_tasks(connection: Connection, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, TaskState]:
    """Lock the rows of `ids`, in their order, and return how they stand; what does not exist is left out."""
    columns: list[ColumnElement[Any]] = [_tasks[name] for name in _LOCKED]
    query = (
        select(*columns, _tasks.cancel_requested_at.is_not(None).label("cancel_requested"))
        .where(text("id = ANY(CAST(:ids AS uuid[]))"))
        .order_by(_tasks.id)
        .with_for_update()
    )
    rows = connection.execute(query, {"ids": [str(task_id) for task_id in ids]})
    return {row[0]: TaskState(*list(row)) for row in rows}


_TASK = {
    "id": "uuid",
    "status": "text",
    "delivery": "int",
    "series": "int",
    "attempt": "int",
    "retry_count": "int",
    "worker_losses": "int",
    "shared_losses": "int",
    "agent_id": "text",
    "incarnation": "text",
    "token": "text",
    "log_lines": "int",
    "error": "text",
    "error_code": "text",
    "error_type": "text",
    "result_json": "json",
    "progress_fraction": "float4",
    "progress_message": "text",
    "publish_in_seconds": "float8",
    "queued_seconds_ago": "float8",
    "started_seconds_ago": "float8",
    "completed_seconds_ago": "float8",
}
_AS_GIVEN = (
    "status",
    "delivery",
    "series",
    "attempt",
    "retry_count",
    "worker_losses",
    "shared_losses",
    "agent_id",
    "incarnation",
    "token",
    "log_lines",
)
_REPLACED_AT_END = {
    "error": "error",
    "error_code": "error_code",
    "error_type": "error_type",
    "result": "result_json",
}
_KEPT_IF_ABSENT = ("progress_fraction", "progress_message")
_TIMES = ("queued", "started", "completed")
_ASSIGNMENTS = [
    *(f"{name} = v.{name}" for name in _AS_GIVEN),
    *(
        f"{column} = CASE WHEN v.status IN ({TERMINAL_SQL}) THEN v.{name}"
        f" ELSE coalesce(v.{name}, t.{column}) END"
        for column, name in _REPLACED_AT_END.items()
    ),
    *(f"{name} = coalesce(v.{name}, t.{name})" for name in _KEPT_IF_ABSENT),
    *(
        f"{name}_at = coalesce(now() - v.{name}_seconds_ago * interval '1 second', t.{name}_at)"
        for name in _TIMES
    ),
    "publish_at = coalesce(now() + v.publish_in_seconds * interval '1 second', t.publish_at)",
]

_WRITE_TASKS = text(f"""
    UPDATE tasks AS t SET {", ".join(_ASSIGNMENTS)}
    FROM {unnest(_TASK)}
    WHERE t.id = v.id AND t.id = ANY(CAST(:id AS uuid[])) AND t.status IN ({UNFINISHED_SQL})
      AND (t.delivery < v.delivery
        OR t.delivery = v.delivery AND (t.status, v.status) IN ({move_pairs_sql()}))
    RETURNING t.id
""").columns(_tasks.id)  # noqa: S608 - built from our own names


def write_tasks(connection: Connection, states: Sequence[TaskState]) -> set[uuid.UUID]:
    """Write states that `lock_tasks` gave and events changed; return the ids that were written.

    The guard holds whatever the caller folded: what has ended stays as it is, a delivery never goes back, and
    within one delivery only moves of the transition table happen. Raises LedgerDataError for a result that is
    no JSON.
    """
    if not states:
        return set()
    return set(connection.execute(_WRITE_TASKS, columns_of(_TASK, states)).scalars())


def reject_event(connection: Connection, stream_id: str, entry: str, reason: str) -> None:
    """Keep an event that cannot be applied, up to MAX_ENTRY characters of it, with the reason."""
    values = {
        "at": func.now(),
        "stream_id": storable(stream_id, MAX_NAME),
        "entry": storable(entry, MAX_ENTRY),
        "reason": storable(reason, MAX_ERROR),
    }
    connection.execute(schema.rejected_events.insert().values(values))
