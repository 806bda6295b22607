"""What the application is put together from."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.intake.acceptance import Acceptance
from orchestrator.intake.access import KeyRing
from orchestrator.intake.cancelling import Cancelling
from orchestrator.intake.catalogue import Catalogue
from orchestrator.intake.group_commit import GroupCommit
from orchestrator.intake.health import Health
from orchestrator.intake.registry import RegistryView
from orchestrator.intake.store import LedgerStore
from orchestrator.intake.waiters import Waiters
from orchestrator.ledger.tasks import get_tasks

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from orchestrator.broker.gateway import Broker
    from orchestrator.intake.options import IntakeOptions
    from orchestrator.ledger.engine import Ledger
    from orchestrator.ledger.tasks import TaskRow

READ_SHARE = 0.6
"""The part of a request's time that one look-up beside its main step may take."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What one request may ask for."""

    body_bytes: int
    timeout_ceiling_seconds: int
    request_seconds: float


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a view may use."""

    ledger: Ledger
    broker: Broker
    keys: KeyRing
    registry: RegistryView
    catalogue: Catalogue
    acceptance: Acceptance
    commits: GroupCommit
    waiters: Waiters
    cancelling: Cancelling
    health: Health
    limits: HttpLimits
    body_deadline: Callable[[float], AbstractContextManager[object]]


def assemble(
    ledger: Ledger,
    broker: Broker,
    intake: IntakeOptions,
    limits: HttpLimits,
    *,
    body_deadline: Callable[[float], AbstractContextManager[object]] = nullcontext,
) -> Parts:
    """Build the parts on a ledger and a broker; connects to nothing and starts nothing."""
    read_seconds = limits.request_seconds * READ_SHARE

    def read_rows(ids: Sequence[uuid.UUID]) -> list[TaskRow]:
        with ledger.transaction(read_seconds) as connection:
            return get_tasks(connection, None, ids)

    registry = RegistryView(broker)
    catalogue = Catalogue(ledger, registry, timeout_seconds=read_seconds)
    waiters = Waiters(read_rows, limit=intake.waiters)
    return Parts(
        ledger=ledger,
        broker=broker,
        keys=KeyRing(ledger, timeout_seconds=read_seconds),
        registry=registry,
        catalogue=catalogue,
        acceptance=Acceptance(catalogue, registry, ledger, timeout_seconds=read_seconds),
        commits=GroupCommit(LedgerStore(ledger), broker, intake),
        waiters=waiters,
        cancelling=Cancelling(ledger, broker, waiters, timeout_seconds=read_seconds),
        health=Health(ledger, broker),
        limits=limits,
        body_deadline=body_deadline,
    )
