"""What agents and controller would do to a task, done by hand."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import text

from orchestrator.broker.announcements import announce

if TYPE_CHECKING:
    from orchestrator.ledger.engine import Ledger
    from tests.support.redis import RedisServer


def end_task(
    ledger: Ledger, task_id: str, *, status: str = "completed", result: str = '{"answer": 42}'
) -> None:
    """Write an outcome into the ledger."""
    with ledger.transaction() as connection:
        connection.execute(
            text(
                "UPDATE tasks SET status = :status, result = CAST(:result AS json), completed_at = now(),"
                " agent_id = 'probe-1' WHERE id = :id"
            ),
            {"id": uuid.UUID(task_id), "status": status, "result": result},
        )


def end_and_announce(
    ledger: Ledger, redis_server: RedisServer, task_id: str, *, status: str = "completed"
) -> None:
    """Write an outcome and tell the API processes, as the recorder does after its commit."""
    end_task(ledger, task_id, status=status)
    with redis_server.client() as client:
        announce(client, [task_id])
