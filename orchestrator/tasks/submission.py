"""What a client asks for, completed with defaults: the row that is about to be accepted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from orchestrator.tasks.ids import new_task_id

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

Pin = Literal["require", "prefer"]

NAME_PATTERN = r"^[a-z0-9_.-]{1,128}$"
DEFAULT_PRIORITY = 5
DEFAULT_TIMEOUT_SECONDS = 30
DEFAULT_MAX_RETRIES = 3
DEFAULT_RETRY_DELAY_SECONDS = 5.0
DEFAULT_TENANT = "default"


@dataclass(frozen=True, slots=True)
class NewTask:
    """A validated submission. `parameters_json` is JSON text of an object, kept as it was sent."""

    agent_type: str
    task_type: str
    parameters_json: str = "{}"
    tenant: str = DEFAULT_TENANT
    pinned_agent_id: str | None = None
    pin: Pin | None = None
    priority: int = DEFAULT_PRIORITY
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    max_retries: int = DEFAULT_MAX_RETRIES
    retry_delay_seconds: float = DEFAULT_RETRY_DELAY_SECONDS
    delay_seconds: float | None = None
    run_at: datetime | None = None
    expires_seconds: float | None = None
    callback_url: str | None = None
    metadata: dict[str, object] = field(default_factory=dict)
    request_id: str | None = None
    id: uuid.UUID = field(default_factory=new_task_id)

    @property
    def starts_later(self) -> bool:
        """Whether the task waits in the ledger before it is published."""
        return self.run_at is not None or bool(self.delay_seconds)
