"""From an accepted submission to what the broker needs of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.tasks.state import Publishable

if TYPE_CHECKING:
    from orchestrator.tasks.submission import NewTask


def publishable(task: NewTask) -> Publishable:
    """Return the first delivery of a task that was just accepted."""
    return Publishable(
        id=task.id,
        tenant=task.tenant,
        agent_type=task.agent_type,
        task_type=task.task_type,
        pinned_agent_id=task.pinned_agent_id,
        pin=task.pin,
        parameters_json=task.parameters_json,
        priority=task.priority,
        timeout_seconds=task.timeout_seconds,
        max_retries=task.max_retries,
        retry_count=0,
        attempt=0,
        delivery=1,
        series=1,
        log_lines=0,
        metadata=task.metadata,
        request_id=task.request_id,
    )
