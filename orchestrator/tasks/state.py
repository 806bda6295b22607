"""What the recorder and the reconciler know of a task: the columns that events and repairs change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uuid

    from orchestrator.tasks.status import Status


@dataclass(slots=True)
class TaskState:
    """The changing part of a ledger row, as the recorder locks, folds and writes it.

    Times are seconds before the ledger's now() (None: leave the column as it is), because only the ledger's
    clock is written. `result_json` None leaves the column; an end writes error and result both.
    """

    id: uuid.UUID
    status: Status
    delivery: int
    series: int
    attempt: int
    retry_count: int
    max_retries: int
    retry_delay_seconds: float
    worker_losses: int
    shared_losses: int
    agent_id: str | None
    incarnation: str | None
    token: str | None
    log_lines: int
    cancel_requested: bool
    error: str | None = None
    error_code: str | None = None
    error_type: str | None = None
    result_json: str | None = None
    progress_fraction: float | None = None
    progress_message: str | None = None
    publish_in_seconds: float | None = None
    """Sets publish_at = now() + this many seconds; None leaves it."""
    queued_seconds_ago: float | None = None
    started_seconds_ago: float | None = None
    completed_seconds_ago: float | None = None
    changed: bool = False


@dataclass(slots=True)
class AttemptState:
    """One execution of a task, by its token. Absent times leave what the ledger has."""

    task_id: uuid.UUID
    token: str
    delivery: int
    series: int
    number: int
    agent_id: str
    incarnation: str
    started_seconds_ago: float | None = None
    ended_seconds_ago: float | None = None
    execution_time_ms: float | None = None
    outcome: str | None = None
    error: str | None = None
    error_type: str | None = None
    error_code: str | None = None
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line a handler logged; `at_ms` is epoch milliseconds of the agent's clock."""

    task_id: uuid.UUID
    token: str
    at_ms: int
    message: str


@dataclass(frozen=True, slots=True)
class Publishable:
    """Everything a publish needs of a row."""

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
    retry_count: int
    attempt: int
    delivery: int
    series: int
    log_lines: int
    metadata: dict[str, object]
    request_id: str | None
