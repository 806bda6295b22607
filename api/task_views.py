"""From a ledger row to the task that a client reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.intake.json_text import JsonText
from orchestrator.intake.waiting_reason import waiting_reason

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from orchestrator.broker.registry import AgentView
    from orchestrator.intake.group_commit import Accepted
    from orchestrator.ledger.tasks import TaskRow

_AS_IN_THE_LEDGER = [
    "agent_id",
    "agent_type",
    "task_type",
    "created_at",
    "priority",
    "error",
    "error_code",
    "error_type",
    "queued_at",
    "started_at",
    "completed_at",
    "run_at",
    "expires_at",
    "timeout_seconds",
    "attempt",
    "retry_count",
    "max_retries",
    "retry_delay_seconds",
    "worker_losses",
    "series",
    "pinned_agent_id",
    "pin",
    "request_id",
    "metadata",
]


def status_url(task_id: uuid.UUID) -> str:
    """Return where the task is read."""
    return f"/tasks/{task_id}"


def show_accepted(accepted: Accepted) -> dict[str, Any]:
    """Return the answer of a submission."""
    task = accepted.task
    return {
        "task_id": task.id,
        "status": str(accepted.status),
        "agent_id": None,
        "agent_type": task.agent_type,
        "task_type": task.task_type,
        "created_at": accepted.created_at,
        "status_url": status_url(task.id),
    }


def show_task(row: TaskRow, agents: Sequence[AgentView] | None) -> dict[str, Any]:
    """Return the task; `agents` is None while the broker is away."""
    shown = {name: getattr(row, name) for name in _AS_IN_THE_LEDGER}
    fraction, message = row.progress_fraction, row.progress_message
    return shown | {
        "task_id": row.id,
        "status": str(row.status),
        "status_url": status_url(row.id),
        "parameters": JsonText(row.parameters_json, None),
        "result": None if row.result_json is None else JsonText(row.result_json, None),
        "progress": None
        if fraction is None and message is None
        else {"fraction": fraction, "message": message},
        "waiting_for": waiting_reason(row, agents, datetime.now(UTC)),
        "cancel_requested": row.cancel_requested_at is not None,
    }
