"""A client's submission: checked against the catalogue, completed with its capability's defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.errors import BrokerUnavailableError, RejectedError
from orchestrator.intake.catalogue import UnknownCapabilityError
from orchestrator.intake.json_text import JsonText
from orchestrator.ledger.catalogue import agent_known
from orchestrator.tasks.submission import (
    DEFAULT_MAX_RETRIES,
    DEFAULT_PRIORITY,
    DEFAULT_RETRY_DELAY_SECONDS,
    DEFAULT_TIMEOUT_SECONDS,
    NewTask,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.intake.catalogue import Capability, Catalogue
    from orchestrator.intake.registry import RegistryView
    from orchestrator.ledger.engine import Ledger
    from orchestrator.tasks.submission import Pin

MAX_AHEAD = timedelta(days=366)
EMPTY_PARAMETERS = JsonText("{}", {})


@dataclass(frozen=True, slots=True)
class Submission:
    """What a client sent, each field well formed; None where it was silent."""

    agent_type: str
    task_type: str
    parameters: JsonText | None = None
    agent_id: str | None = None
    pin: Pin | None = None
    priority: int | None = None
    timeout_seconds: int | None = None
    max_retries: int | None = None
    retry_delay_seconds: float | None = None
    delay_seconds: float | None = None
    run_at: datetime | None = None
    expires_seconds: float | None = None
    metadata: dict[str, object] | None = field(default=None)


class Acceptance:
    """Decides whether a submission can be accepted, and as what task."""

    def __init__(
        self, catalogue: Catalogue, registry: RegistryView, ledger: Ledger, *, timeout_seconds: float
    ) -> None:
        self._catalogue = catalogue
        self._registry = registry
        self._ledger = ledger
        self._timeout_seconds = timeout_seconds

    def find_problems(self, asked: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return the reasons by field why this cannot be accepted; looks only at fields that are there.

        Raises LedgerUnavailableError when nobody can tell.
        """
        problems: dict[str, list[str]] = {}
        agent_type, task_type = asked.get("agent_type"), asked.get("task_type")
        if agent_type and task_type:
            try:
                capability = self._catalogue.find(agent_type, task_type)
            except UnknownCapabilityError as error:
                problems[error.field] = [str(error)]
            else:
                problems |= _parameter_problems(capability, asked.get("parameters"))
        if asked.get("agent_id"):
            problems |= self._pin_problems(asked["agent_id"], agent_type, task_type)
        elif asked.get("pin"):
            problems["pin"] = ["needs agent_id"]
        if asked.get("run_at") and asked.get("delay_seconds") is not None:
            problems["run_at"] = ["give run_at or delay_seconds, not both"]
        elif asked.get("run_at") and asked["run_at"] > datetime.now(UTC) + MAX_AHEAD:
            problems["run_at"] = [f"must be within {MAX_AHEAD.days} days from now"]
        return problems

    def complete(self, asked: Submission, *, tenant: str, request_id: str) -> NewTask:
        """Return the task to be accepted. Raises RejectedError for a capability nobody ever registered."""
        try:
            declared = self._catalogue.find(asked.agent_type, asked.task_type).defaults
        except UnknownCapabilityError as error:
            raise RejectedError(str(error), fields={error.field: [str(error)]}) from error
        return NewTask(
            agent_type=asked.agent_type,
            task_type=asked.task_type,
            parameters_json=(asked.parameters or EMPTY_PARAMETERS).text,
            tenant=tenant,
            pinned_agent_id=asked.agent_id,
            pin=(asked.pin or "require") if asked.agent_id else None,
            priority=int(_first(asked.priority, declared.get("priority"), DEFAULT_PRIORITY)),
            timeout_seconds=int(
                _first(asked.timeout_seconds, declared.get("timeout_seconds"), DEFAULT_TIMEOUT_SECONDS)
            ),
            max_retries=int(_first(asked.max_retries, declared.get("max_retries"), DEFAULT_MAX_RETRIES)),
            retry_delay_seconds=float(
                _first(
                    asked.retry_delay_seconds,
                    declared.get("retry_delay_seconds"),
                    DEFAULT_RETRY_DELAY_SECONDS,
                )
            ),
            delay_seconds=asked.delay_seconds,
            run_at=asked.run_at,
            expires_seconds=asked.expires_seconds,
            metadata=asked.metadata or {},
            request_id=request_id,
        )

    def _pin_problems(self, agent_id: str, agent_type: Any, task_type: Any) -> dict[str, list[str]]:
        try:
            agent = self._registry.find(agent_id)
        except BrokerUnavailableError:
            agent = None
        if agent is None:
            with self._ledger.transaction(self._timeout_seconds) as connection:
                known = agent_known(connection, agent_id)
            return {} if known else {"agent_id": ["no such agent ever registered"]}
        if agent_type and agent.agent_type != agent_type:
            return {"agent_id": [f"is an agent of type {agent.agent_type}"]}
        if task_type and task_type not in agent.task_types:
            return {"agent_id": ["does not offer this task type"]}
        return {}


def _parameter_problems(capability: Capability, parameters: object) -> dict[str, list[str]]:
    if capability.check is None or not isinstance(parameters, JsonText | None):
        return {}
    return capability.check.find_problems((parameters or EMPTY_PARAMETERS).value)


def _first(*values: float | None) -> float:
    """Return the first that is given: 0 is given."""
    return next(value for value in values if value is not None)
