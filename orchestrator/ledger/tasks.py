"""Tasks as the API writes and reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import literal, select, text, union_all

from orchestrator.ledger import schema
from orchestrator.ledger.guards import UNFINISHED_SQL
from orchestrator.ledger.rows import AttemptRow, CancelTarget, LogRow, TaskRow
from orchestrator.tasks.status import Status

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Select

    from orchestrator.tasks.submission import NewTask

__all__ = [
    "AttemptRow",
    "CancelTarget",
    "LogRow",
    "TaskRow",
    "find_created",
    "get_task",
    "get_tasks",
    "insert_tasks",
    "list_tasks",
    "read_attempts",
    "read_logs",
    "request_cancel",
]

PUBLISH_GRACE_SECONDS = 2
"""How long the process that accepted a task has to publish it before the controller does."""

_tasks = schema.tasks.c

_INSERT = text(f"""
    INSERT INTO tasks (id, tenant, agent_type, task_type, pinned_agent_id, pin, parameters, priority,
        timeout_seconds, max_retries, retry_delay_seconds, metadata, callback_url, expires_at, request_id,
        run_at, publish_at)
    SELECT v.id, v.tenant, v.agent_type, v.task_type, v.pinned_agent_id, v.pin, v.parameters, v.priority,
        v.timeout_seconds, v.max_retries, v.retry_delay_seconds, v.metadata, v.callback_url,
        now() + v.expires_seconds * interval '1 second', v.request_id,
        coalesce(v.run_at, now() + v.delay_seconds * interval '1 second'),
        coalesce(v.run_at, now() + v.delay_seconds * interval '1 second',
            now() + interval '{PUBLISH_GRACE_SECONDS} seconds')
    FROM unnest(CAST(:id AS uuid[]), CAST(:tenant AS text[]), CAST(:agent_type AS text[]),
        CAST(:task_type AS text[]),
        CAST(:pinned_agent_id AS text[]), CAST(:pin AS text[]), CAST(:parameters AS json[]),
        CAST(:priority AS smallint[]), CAST(:timeout_seconds AS int[]), CAST(:max_retries AS int[]),
        CAST(:retry_delay_seconds AS float8[]), CAST(:metadata AS jsonb[]), CAST(:callback_url AS text[]),
        CAST(:expires_seconds AS float8[]), CAST(:request_id AS text[]), CAST(:run_at AS timestamptz[]),
        CAST(:delay_seconds AS float8[]))
      AS v (id, tenant, agent_type, task_type, pinned_agent_id, pin, parameters, priority, timeout_seconds,
        max_retries, retry_delay_seconds, metadata, callback_url, expires_seconds, request_id, run_at,
        delay_seconds)
    RETURNING id, created_at
""").columns(_tasks.id, _tasks.created_at)  # noqa: S608 - a number of ours

_PLAIN_FIELDS = (
    "tenant",
    "agent_type",
    "task_type",
    "pinned_agent_id",
    "pin",
    "priority",
    "timeout_seconds",
    "max_retries",
    "retry_delay_seconds",
    "callback_url",
    "expires_seconds",
    "request_id",
    "run_at",
)


def insert_tasks(connection: Connection, tasks: Sequence[NewTask]) -> list[datetime]:
    """Insert all in one statement and return created_at of each, in order.

    Raises LedgerDataError if one of them cannot be stored (then none is): repeat them one by one to find it.
    """
    if not tasks:
        return []
    values: dict[str, list[Any]] = {name: [getattr(task, name) for task in tasks] for name in _PLAIN_FIELDS}
    values["id"] = [str(task.id) for task in tasks]
    values["parameters"] = [task.parameters_json for task in tasks]
    values["metadata"] = [json.dumps(task.metadata, allow_nan=False) for task in tasks]
    values["delay_seconds"] = [task.delay_seconds or None for task in tasks]
    created = {row.id: row.created_at for row in connection.execute(_INSERT, values)}
    return [created[task.id] for task in tasks]


def get_task(connection: Connection, tenant: str, task_id: uuid.UUID) -> TaskRow | None:
    """Return the task if it is the tenant's."""
    found = get_tasks(connection, tenant, [task_id])
    return found[0] if found else None


def get_tasks(connection: Connection, tenant: str | None, ids: Collection[uuid.UUID]) -> list[TaskRow]:
    """Return those that exist, in no order; `tenant` None means every tenant's."""
    query = select(schema.tasks).where(_tasks.id.in_(ids))
    if tenant is not None:
        query = query.where(_tasks.tenant == tenant)
    return [TaskRow(*row) for row in connection.execute(query)]


def find_created(connection: Connection, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, datetime]:
    """Return created_at of those of `ids` that exist: what became of a commit whose end nobody saw."""
    query = select(_tasks.id, _tasks.created_at).where(_tasks.id.in_(ids))
    return {row.id: row.created_at for row in connection.execute(query)}


def list_tasks(
    connection: Connection,
    tenant: str,
    *,
    statuses: Collection[Status] = (),
    agent_type: str | None = None,
    task_type: str | None = None,
    limit: int,
    before_id: uuid.UUID | None = None,
) -> list[TaskRow]:
    """Return a page of at most `limit`, newest first, of those older than `before_id`; no statuses means all.

    Each status is a walk of its own down its index, so a rare one costs no more than a common one.
    """
    page = select(_tasks.id).where(_tasks.tenant == tenant).order_by(_tasks.id.desc()).limit(limit)
    if agent_type is not None:
        page = page.where(_tasks.agent_type == agent_type)
    if task_type is not None:
        page = page.where(_tasks.task_type == task_type)
    if before_id is not None:
        page = page.where(_tasks.id < before_id)
    ids = connection.execute(_of_statuses(page, statuses, limit)).scalars().all()
    if not ids:
        return []
    rows = {row.id: row for row in get_tasks(connection, tenant, ids)}
    return [rows[task_id] for task_id in ids if task_id in rows]


def _of_statuses(page: Select[Any], statuses: Collection[Status], limit: int) -> Select[Any]:
    if not statuses:
        return page
    if len(statuses) == 1:
        return page.where(_tasks.status.in_(statuses))
    walks = [page.where(_tasks.status == status).subquery() for status in sorted(set(statuses))]
    merged = union_all(*(select(walk.c.id) for walk in walks)).subquery()
    return select(merged.c.id).order_by(merged.c.id.desc()).limit(limit)


_CANCEL = text(f"""
    UPDATE tasks SET cancel_requested_at = coalesce(cancel_requested_at, now())
    WHERE id = :id AND tenant = :tenant AND status IN ({UNFINISHED_SQL})
    RETURNING status, delivery, agent_id, cancel_requested_at
""")  # noqa: S608 - our own list of statuses


def request_cancel(connection: Connection, tenant: str, task_id: uuid.UUID) -> CancelTarget | None:
    """Write the wish down if the task has not ended; return how it stands, None if there is no such task."""
    row = connection.execute(_CANCEL, {"id": task_id, "tenant": tenant}).one_or_none()
    if row is None:
        ended = select(_tasks.status, _tasks.delivery, _tasks.agent_id, literal(None)).where(
            _tasks.id == task_id, _tasks.tenant == tenant
        )
        row = connection.execute(ended).one_or_none()
    return None if row is None else CancelTarget(Status(row[0]), *row[1:])


def read_logs(connection: Connection, task_id: uuid.UUID, *, after_seq: int = 0, limit: int) -> list[LogRow]:
    """Return at most `limit` log lines after `after_seq`, oldest first."""
    logs = schema.task_logs.c
    query = select(logs.seq, logs.token, logs.at, logs.message).where(
        logs.task_id == task_id, logs.seq > after_seq
    )
    return [LogRow(*row) for row in connection.execute(query.order_by(logs.seq).limit(limit))]


def read_attempts(connection: Connection, task_id: uuid.UUID, limit: int) -> list[AttemptRow]:
    """Return at most `limit` executions, the latest delivery first."""
    table = schema.attempts
    query = select(table).where(table.c.task_id == task_id)
    query = query.order_by(table.c.delivery.desc(), table.c.started_at.desc(), table.c.token).limit(limit)
    return [AttemptRow(*row) for row in connection.execute(query)]
