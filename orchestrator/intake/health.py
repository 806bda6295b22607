"""How the parts are, asked within bounds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.errors import OrchestratorError, UnavailableError
from orchestrator.intake.shared_read import SharedRead
from orchestrator.ledger.leadership import current

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.broker.gateway import Broker
    from orchestrator.ledger.engine import Ledger
    from orchestrator.ledger.leadership import Leader

T = TypeVar("T")

READY_FRESH_SECONDS = 0.5
ASK_SECONDS = 1.0
MAX_REASON_CHARACTERS = 300


class ComponentStatus(StrEnum):
    """How a component is."""

    HEALTHY = "healthy"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Component:
    """One component: its latency in milliseconds, or why it did not answer."""

    status: ComponentStatus
    latency_ms: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SystemHealth:
    """Everything an operator looks at first."""

    ledger: Component
    broker: Component
    leader: Leader | None
    event_backlog: int | None
    report: dict[str, Any] | None


class Health:
    """Asks ledger and broker how they are; many who ask at once share one answer."""

    def __init__(self, ledger: Ledger, broker: Broker) -> None:
        self._ledger = ledger
        self._broker = broker
        self._ledger_read = SharedRead(self._ask_ledger, fresh_seconds=READY_FRESH_SECONDS)
        self._system_read = SharedRead(self._ask_system, fresh_seconds=READY_FRESH_SECONDS)

    def ledger(self) -> Component:
        """Return how the ledger was at most READY_FRESH_SECONDS ago."""
        return self._ledger_read.get()

    @property
    def broker_available(self) -> bool:
        """Whether the broker answered when it was last asked anything."""
        return self._broker.available

    def system(self) -> SystemHealth:
        """Return how everything was at most READY_FRESH_SECONDS ago."""
        return self._system_read.get()

    def _ask_ledger(self) -> Component:
        return _timed(self._ping_ledger)

    def _ping_ledger(self) -> None:
        with self._ledger.transaction(ASK_SECONDS) as connection:
            current(connection)

    def _ask_system(self) -> SystemHealth:
        broker = _timed(self._broker.ping) if self._broker.available else _AWAY
        away = broker.status is not ComponentStatus.HEALTHY
        return SystemHealth(
            ledger=self.ledger(),
            broker=broker,
            leader=_or_none(self._leader),
            event_backlog=None if away else _or_none(self._broker.stream_length),
            report=None if away else _or_none(self._broker.controller_report),
        )

    def _leader(self) -> Leader | None:
        if self.ledger().status is not ComponentStatus.HEALTHY:
            return None
        with self._ledger.transaction(ASK_SECONDS) as connection:
            return current(connection)


_AWAY = Component(ComponentStatus.UNAVAILABLE, error="Redis is known to be away")


def _timed(ask: Callable[[], object]) -> Component:
    started = time.monotonic()
    try:
        ask()
    except OrchestratorError as error:
        return Component(ComponentStatus.UNAVAILABLE, error=str(error)[:MAX_REASON_CHARACTERS])
    return Component(ComponentStatus.HEALTHY, latency_ms=round((time.monotonic() - started) * 1000, 3))


def _or_none(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except UnavailableError:
        return None
