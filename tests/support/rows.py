"""Rows of the ledger, put into any state that a test needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from orchestrator.ledger import schema
from orchestrator.ledger.tasks import get_tasks, insert_tasks
from orchestrator.tasks.submission import NewTask

if TYPE_CHECKING:
    import uuid

    from sqlalchemy import Connection

    from orchestrator.ledger.rows import TaskRow


def a_task(**values: Any) -> NewTask:
    """Return a submission of the probe agent's echo."""
    return NewTask(**{"agent_type": "probe", "task_type": "echo", **values})


def insert_row(connection: Connection, task: NewTask | None = None, **columns: Any) -> uuid.UUID:
    """Insert a task and set its columns to what is given."""
    task = task or a_task()
    insert_tasks(connection, [task])
    if columns:
        set_row(connection, task.id, **columns)
    return task.id


def set_row(connection: Connection, task_id: uuid.UUID, **columns: Any) -> None:
    """Set columns whatever the row's state."""
    connection.execute(schema.tasks.update().where(schema.tasks.c.id == task_id).values(columns))


def read_row(connection: Connection, task_id: uuid.UUID) -> TaskRow:
    """Return the row, which must exist."""
    (row,) = get_tasks(connection, None, [task_id])
    return row


def fill(connection: Connection, count: int, *, status: str = "completed", weeks: int = 5) -> None:
    """Insert rows with ids spread over `weeks` weeks from now, one status, and gather statistics."""
    connection.execute(
        text("""
            INSERT INTO tasks (id, tenant, agent_type, task_type, parameters, priority, timeout_seconds,
                max_retries, retry_delay_seconds, status)
            SELECT CAST(lpad(to_hex(CAST(extract(epoch FROM now()) * 1000 AS bigint)
                    + number * (604800000 * CAST(:weeks AS bigint) / :count)), 12, '0')
                || '7000b' || substr(md5(CAST(random() AS text)), 1, 15) AS uuid),
                'default', 'probe', 'echo', '{}', 5, 30, 3, 5, :status
            FROM generate_series(0, :count - 1) AS number
        """),
        {"count": count, "weeks": weeks, "status": status},
    )
    connection.execute(text("ANALYZE tasks"))
