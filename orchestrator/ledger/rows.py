"""Ledger rows as records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from orchestrator.tasks.status import Status


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A row of `tasks`, its fields in the order of the columns. Parameters and result are JSON text."""

    id: uuid.UUID
    tenant: str
    agent_type: str
    task_type: str
    pinned_agent_id: str | None
    pin: str | None
    parameters_json: str
    priority: int
    timeout_seconds: int
    max_retries: int
    retry_delay_seconds: float
    metadata: dict[str, object]
    callback_url: str | None
    expires_at: datetime | None
    request_id: str | None
    status: Status
    delivery: int
    series: int
    attempt: int
    retry_count: int
    worker_losses: int
    shared_losses: int
    agent_id: str | None
    incarnation: str | None
    token: str | None
    created_at: datetime
    publish_at: datetime
    run_at: datetime | None
    queued_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    cancel_requested_at: datetime | None
    result_json: str | None
    error: str | None
    error_code: str | None
    error_type: str | None
    progress_fraction: float | None
    progress_message: str | None
    log_lines: int


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """A row of `attempts`: one execution."""

    task_id: uuid.UUID
    token: str
    delivery: int
    series: int
    number: int
    agent_id: str
    incarnation: str
    started_at: datetime | None
    ended_at: datetime | None
    execution_time_ms: float | None
    outcome: str | None
    error: str | None
    error_type: str | None
    error_code: str | None
    traceback: str | None


@dataclass(frozen=True, slots=True)
class LogRow:
    """A row of `task_logs`; `seq` grows in the order of recording."""

    seq: int
    token: str
    at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class CancelTarget:
    """What a wish to cancel found. `cancel_requested_at` is None when the task had ended before."""

    status: Status
    delivery: int
    agent_id: str | None
    cancel_requested_at: datetime | None
