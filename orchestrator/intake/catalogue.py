"""Every capability that was ever registered, in this process' memory."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from orchestrator.errors import BrokerUnavailableError
from orchestrator.intake.parameter_check import ParameterCheck
from orchestrator.intake.shared_read import SharedRead
from orchestrator.ledger.catalogue import read_catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.intake.registry import RegistryView
    from orchestrator.ledger.engine import Ledger

log = structlog.get_logger()

FRESH_SECONDS = 60.0
"""The background renews it far more often; this bounds what a process without a background believes."""
PAUSE_SECONDS = 0.2
MAX_NEAR_NAMES = 5
MAX_LIVE = 10_000

Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Capability:
    """What one agent type can do, and what holds where a submission is silent."""

    agent_type: str
    task_type: str
    parameters_schema: dict[str, Any] | None
    defaults: Mapping[str, Any]
    exclusive: bool
    check: ParameterCheck | None


class UnknownCapabilityError(LookupError):
    """Nobody ever registered it; `near` are names like it, `field` is the one to correct."""

    def __init__(self, field: str, value: str, near: list[str]) -> None:
        hint = f"; near: {', '.join(near)}" if near else ""
        super().__init__(f"no agent ever registered {value!r}{hint}")
        self.field = field


class Catalogue:
    """Finds capabilities; before it is a miss, the live agents and the ledger are asked."""

    def __init__(self, ledger: Ledger, registry: RegistryView, *, timeout_seconds: float) -> None:
        self._ledger = ledger
        self._registry = registry
        self._timeout_seconds = timeout_seconds
        self._live: dict[Name, Capability] = {}
        self._recorded = SharedRead(self._read, fresh_seconds=FRESH_SECONDS, pause_seconds=PAUSE_SECONDS)

    def find(self, agent_type: str, task_type: str) -> Capability:
        """Return the capability.

        Raises UnknownCapabilityError, or LedgerUnavailableError when nobody can tell.
        """
        name = (agent_type, task_type)
        found = self.all().get(name) or self._find_live(name) or self._recorded.get_new().get(name)
        if found is None:
            raise _unknown(name, self.all())
        return found

    def all(self) -> dict[Name, Capability]:
        """Return everything that is known now. Raises LedgerUnavailableError if nothing was ever read."""
        recorded = self._recorded.last()
        return {**self._live, **(self._recorded.get() if recorded is None else recorded)}

    def refresh(self) -> None:
        """Read the ledger again. Raises LedgerUnavailableError."""
        self._recorded.get_new()

    def _find_live(self, name: Name) -> Capability | None:
        try:
            agents = self._registry.agents_now()
        except BrokerUnavailableError:
            return None
        live = {
            (agent.agent_type, item["task_type"]): _capability(agent.agent_type, item, None)
            for agent in agents
            for item in agent.record.get("capabilities", [])
        }
        self._live = dict(list(live.items())[:MAX_LIVE])
        return self._live.get(name)

    def _read(self) -> dict[Name, Capability]:
        with self._ledger.transaction(self._timeout_seconds) as connection:
            rows = read_catalogue(connection)
        before = self._recorded.last() or {}
        return {
            (row.agent_type, row.task_type): _capability(
                row.agent_type,
                {
                    "task_type": row.task_type,
                    "parameters_schema": row.parameters_schema,
                    "defaults": row.defaults,
                    "exclusive": row.exclusive,
                },
                before.get((row.agent_type, row.task_type)),
            )
            for row in rows
        }


def _capability(agent_type: str, item: dict[str, Any], before: Capability | None) -> Capability:
    """Build a capability; a schema that did not change is not compiled again."""
    schema = item.get("parameters_schema")
    if before is not None and before.parameters_schema == schema:
        check = before.check
    else:
        check = _compiled(agent_type, item["task_type"], schema)
    return Capability(
        agent_type=agent_type,
        task_type=item["task_type"],
        parameters_schema=schema,
        defaults=item.get("defaults") or {},
        exclusive=bool(item.get("exclusive")),
        check=check,
    )


def _compiled(agent_type: str, task_type: str, schema: dict[str, Any] | None) -> ParameterCheck | None:
    if schema is None:
        return None
    try:
        return ParameterCheck(schema)
    except ValueError as error:
        log.warning(
            "parameters_schema_unusable", agent_type=agent_type, task_type=task_type, reason=str(error)
        )
        return None


def _unknown(name: Name, known: Iterable[Name]) -> UnknownCapabilityError:
    agent_type, task_type = name
    known = sorted(known)
    types = sorted({known_type for known_type, _ in known})
    if agent_type not in types:
        return UnknownCapabilityError("agent_type", agent_type, _near(agent_type, types))
    own = [known_task for known_type, known_task in known if known_type == agent_type]
    near = _near(task_type, own) or [
        f"{known_type}.{known_task}" for known_type, known_task in known if known_task == task_type
    ]
    return UnknownCapabilityError("task_type", f"{agent_type}.{task_type}", near[:MAX_NEAR_NAMES])


def _near(name: str, names: list[str]) -> list[str]:
    return difflib.get_close_matches(name, names, n=MAX_NEAR_NAMES, cutoff=0.5)
