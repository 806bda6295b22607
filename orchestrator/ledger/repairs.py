"""The reconciler's and the scheduler's statements. Each is bounded by a limit or by its list, and guarded."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select, text, union_all

from orchestrator.ledger import schema
from orchestrator.ledger.arrays import columns_of, unnest
from orchestrator.ledger.endings import Failure, end_tasks, fail_tasks
from orchestrator.ledger.guards import IN_FLIGHT, REPAIRABLE_SQL, WAITING, WAITING_SQL
from orchestrator.tasks.state import Publishable
from orchestrator.tasks.status import UNFINISHED

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Select

    from orchestrator.tasks.status import Status

__all__ = [
    "Failure",
    "InFlight",
    "Raise",
    "cancel_wishes",
    "counts_by_status",
    "due_for_publish",
    "end_tasks",
    "expired",
    "fail_tasks",
    "in_flight",
    "in_flight_among",
    "postpone",
    "raise_delivery",
]

_tasks = schema.tasks.c
COUNT_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class InFlight:
    """An unfinished row without its parameters: where it should be, and who has it."""

    id: uuid.UUID
    tenant: str
    agent_type: str
    task_type: str
    pinned_agent_id: str | None
    pin: str | None
    priority: int
    status: Status
    delivery: int
    attempt: int
    agent_id: str | None
    incarnation: str | None
    token: str | None
    worker_losses: int
    shared_losses: int
    queued_at: datetime | None
    started_at: datetime | None
    cancel_requested_at: datetime | None


@dataclass(frozen=True, slots=True)
class Raise:
    """Deliver a row again under a new number, if it is still as it was seen (status None: any)."""

    id: uuid.UUID
    delivery_seen: int
    new_delivery: int
    status_seen: Status | None = None
    worker_losses: int = 0
    shared_losses: int = 0


_IN_FLIGHT = tuple(_tasks[item.name] for item in fields(InFlight))
_PUBLISHABLE = tuple(_tasks[item.name.removesuffix("_json")] for item in fields(Publishable))


def due_for_publish(connection: Connection, limit: int) -> list[Publishable]:
    """Return rows that wait in the ledger and are due, the longest overdue first.

    Left out is what somebody wants cancelled, and what has expired.
    """
    query = (
        select(*_PUBLISHABLE)
        .where(_tasks.status.in_(WAITING), _tasks.publish_at <= func.now())
        .where(_tasks.cancel_requested_at.is_(None), _not_expired())
        .order_by(_tasks.publish_at)
        .limit(limit)
    )
    return [Publishable(*row) for row in connection.execute(query)]


def in_flight(
    connection: Connection,
    *,
    after_id: uuid.UUID | None,
    limit: int,
    statuses: Collection[Status] = IN_FLIGHT,
) -> list[InFlight]:
    """Return a page of rows that are in the broker's or an agent's hands, in the order of their ids."""
    query = select(*_IN_FLIGHT).where(_tasks.status.in_(IN_FLIGHT), _tasks.status.in_(statuses))
    if after_id is not None:
        query = query.where(_tasks.id > after_id)
    return _read_in_flight(connection, query.order_by(_tasks.id).limit(limit))


def in_flight_among(connection: Connection, ids: Collection[uuid.UUID | str]) -> list[InFlight]:
    """Return those of `ids` that are in the broker's or an agent's hands, in the order of their ids."""
    query = select(*_IN_FLIGHT).where(_tasks.status.in_(IN_FLIGHT), text("id = ANY(CAST(:ids AS uuid[]))"))
    query = query.order_by(_tasks.id).params(ids=[str(task_id) for task_id in ids])
    return _read_in_flight(connection, query)


def cancel_wishes(connection: Connection, limit: int, *, after_id: uuid.UUID | None = None) -> list[InFlight]:
    """Return a page of unfinished rows that somebody wants cancelled, in the order of their ids."""
    query = select(*_IN_FLIGHT).where(_tasks.cancel_requested_at.is_not(None), _tasks.status.in_(UNFINISHED))
    if after_id is not None:
        query = query.where(_tasks.id > after_id)
    return _read_in_flight(connection, query.order_by(_tasks.id).limit(limit))


def expired(connection: Connection, limit: int) -> list[InFlight]:
    """Return rows that never ran and should have begun by now.

    They are only candidates: Redis may know of a run that the ledger does not, so each is taken back there
    before `end_tasks` ends it as a timeout.
    """
    query = (
        select(*_IN_FLIGHT)
        .where(_tasks.expires_at <= func.now(), _tasks.status.in_(UNFINISHED), _tasks.attempt == 0)
        .order_by(_tasks.expires_at)
        .limit(limit)
    )
    return _read_in_flight(connection, query)


_POSTPONE = text(f"""
    WITH locked AS (
        SELECT id FROM tasks WHERE id = ANY(CAST(:ids AS uuid[])) AND status IN ({WAITING_SQL})
        ORDER BY id FOR UPDATE
    )
    UPDATE tasks AS t SET publish_at = now() + :seconds * interval '1 second' FROM locked
    WHERE t.id = locked.id AND t.id = ANY(CAST(:ids AS uuid[])) AND t.status IN ({WAITING_SQL})
""")  # noqa: S608 - our own list of statuses


def postpone(connection: Connection, ids: Collection[uuid.UUID], seconds: float) -> int:
    """Have waiting rows published `seconds` from now; return how many still wait."""
    if not ids:
        return 0
    given = {"ids": [str(task_id) for task_id in ids], "seconds": seconds}
    return connection.execute(_POSTPONE, given).rowcount


_RAISE = {
    "id": "uuid",
    "delivery_seen": "int",
    "new_delivery": "int",
    "status_seen": "text",
    "worker_losses": "int",
    "shared_losses": "int",
}
_RETURNED = ", ".join(
    f"CAST(t.{c.name} AS text)" if c.name == "parameters" else f"t.{c.name}" for c in _PUBLISHABLE
)
_RAISE_DELIVERY = text(f"""
    WITH locked AS (
        SELECT t.id, v.delivery_seen, v.new_delivery, v.worker_losses, v.shared_losses
        FROM tasks AS t JOIN {unnest(_RAISE)} USING (id)
        WHERE t.id = ANY(CAST(:id AS uuid[])) AND t.delivery = v.delivery_seen AND v.new_delivery > t.delivery
          AND t.status = coalesce(v.status_seen, t.status) AND t.status IN ({REPAIRABLE_SQL})
        ORDER BY t.id FOR UPDATE OF t
    )
    UPDATE tasks AS t SET status = 'pending', delivery = locked.new_delivery, publish_at = now(),
        worker_losses = t.worker_losses + locked.worker_losses,
        shared_losses = t.shared_losses + locked.shared_losses,
        agent_id = NULL, incarnation = NULL, token = NULL
    FROM locked
    WHERE t.id = locked.id AND t.id = ANY(CAST(:id AS uuid[])) AND t.delivery = locked.delivery_seen
      AND t.status IN ({REPAIRABLE_SQL})
    RETURNING {_RETURNED}
""").columns(*_PUBLISHABLE)  # noqa: S608 - built from our own names


def raise_delivery(connection: Connection, items: Sequence[Raise]) -> list[Publishable]:
    """Put rows back to `pending` under a new delivery, due now; return those that were still as seen."""
    if not items:
        return []
    rows = connection.execute(_RAISE_DELIVERY, columns_of(_RAISE, items))
    return [Publishable(*row) for row in rows]


def counts_by_status(connection: Connection, limit: int = COUNT_LIMIT) -> dict[Status, int]:
    """Count unfinished rows by status, among the first `limit` that wait and the first `limit` in flight."""
    samples = [
        select(_tasks.status).where(_tasks.status.in_(statuses)).limit(limit).subquery()
        for statuses in (WAITING, IN_FLIGHT)
    ]
    counted = union_all(
        *(select(sample.c.status, func.count()).group_by(sample.c.status) for sample in samples)
    )
    found = {row[0]: row[1] for row in connection.execute(counted)}
    return {status: found.get(status, 0) for status in sorted(UNFINISHED)}


def _not_expired() -> ColumnElement[bool]:
    return or_(_tasks.expires_at.is_(None), _tasks.expires_at > func.now())


def _read_in_flight(connection: Connection, query: Select[Any]) -> list[InFlight]:
    return [InFlight(*row) for row in connection.execute(query)]
