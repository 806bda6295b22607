"""Ends that the controller writes itself: poison, expiry, and cancels that nobody else can carry out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from orchestrator.ledger import schema
from orchestrator.ledger.arrays import columns_of, unnest
from orchestrator.ledger.guards import endable_sql
from orchestrator.tasks.status import Status

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from sqlalchemy import Connection
    from sqlalchemy.sql.expression import TextualSelect


@dataclass(frozen=True, slots=True)
class Failure:
    """End a row with an error, if its delivery is still the one that was seen."""

    id: uuid.UUID
    delivery_seen: int
    code: str
    error: str
    worker_losses: int = 0
    shared_losses: int = 0


_END = {
    "id": "uuid",
    "delivery_seen": "int",
    "code": "text",
    "error": "text",
    "worker_losses": "int",
    "shared_losses": "int",
}


def _end_statement(status: Status) -> TextualSelect:
    guard = f"t.status IN ({endable_sql(status)})"
    return text(f"""
        WITH locked AS (
            SELECT t.id, v.delivery_seen, v.code, v.error, v.worker_losses, v.shared_losses
            FROM tasks AS t JOIN {unnest(_END)} USING (id)
            WHERE t.id = ANY(CAST(:id AS uuid[])) AND t.delivery = v.delivery_seen AND {guard}
            ORDER BY t.id FOR UPDATE OF t
        )
        UPDATE tasks AS t SET status = '{status.value}', error_code = locked.code, error = locked.error,
            error_type = NULL, result = NULL, completed_at = now(),
            worker_losses = t.worker_losses + locked.worker_losses,
            shared_losses = t.shared_losses + locked.shared_losses
        FROM locked
        WHERE t.id = locked.id AND t.id = ANY(CAST(:id AS uuid[])) AND t.delivery = locked.delivery_seen
          AND {guard}
        RETURNING t.id
    """).columns(schema.tasks.c.id)  # noqa: S608 - built from our own names


_ENDS = {status: _end_statement(status) for status in (Status.FAILED, Status.TIMEOUT, Status.CANCELLED)}


def end_tasks(connection: Connection, items: Sequence[Failure], status: Status) -> list[uuid.UUID]:
    """End unfinished rows as failed, timeout or cancelled; return the ids of those that this ended."""
    if not items:
        return []
    return list(connection.execute(_ENDS[status], columns_of(_END, items)).scalars())


def fail_tasks(connection: Connection, items: Sequence[Failure]) -> list[uuid.UUID]:
    """End unfinished rows as failed; return the ids of those that this ended."""
    return end_tasks(connection, items, Status.FAILED)
