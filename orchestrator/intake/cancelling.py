"""Cancelling: the wish is written down first, then Redis decides who won, then the ledger says so."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from orchestrator.broker.answers import Cancelled
from orchestrator.errors import BrokerUnavailableError, ConflictError, NotFoundError, OverloadedError
from orchestrator.ledger.tasks import get_task, request_cancel
from orchestrator.tasks.status import TERMINAL, Status

if TYPE_CHECKING:
    import uuid

    from orchestrator.broker.gateway import Broker
    from orchestrator.intake.budget import Budget
    from orchestrator.intake.waiters import Wait, Waiters
    from orchestrator.ledger.engine import Ledger
    from orchestrator.ledger.tasks import CancelTarget

SETTLE_SECONDS = 5.0
MAX_AT_ONCE = 16
"""Calls to Redis at a time, well below what its pool lends."""
MAX_MOVES = 3


class Cancelling:
    """Ends tasks that have not ended."""

    def __init__(self, ledger: Ledger, broker: Broker, waiters: Waiters, *, timeout_seconds: float) -> None:
        self._ledger = ledger
        self._broker = broker
        self._waiters = waiters
        self._timeout_seconds = timeout_seconds
        self._calls = threading.BoundedSemaphore(MAX_AT_ONCE)

    def cancel(self, tenant: str, task_id: uuid.UUID, budget: Budget) -> bool:
        """Cancel; return True when the task is cancelled, False when that is not settled in time.

        An unsettled wish stays in the ledger and is carried out by the controller. Raises NotFoundError, and
        ConflictError for a task that ended otherwise.
        """
        with ExitStack() as stack:
            wait = self._expect(stack, task_id)
            target = self._wish(tenant, task_id, budget)
            status = Status(target.status)
            if status not in TERMINAL:
                told = self._tell(task_id, target.delivery)
                row = wait.result(SETTLE_SECONDS) if told and wait is not None else None
                status = row.status if row is not None else self._read(tenant, task_id)
        if status in TERMINAL and status is not Status.CANCELLED:
            raise ConflictError(f"the task has ended already: {status}", code="task_ended")
        return status is Status.CANCELLED

    def _expect(self, stack: ExitStack, task_id: uuid.UUID) -> Wait | None:
        try:
            return stack.enter_context(self._waiters.expect(task_id))
        except OverloadedError:
            return None

    def _wish(self, tenant: str, task_id: uuid.UUID, budget: Budget) -> CancelTarget:
        with self._ledger.transaction(budget.require()) as connection:
            target = request_cancel(connection, tenant, task_id)
        if target is None:
            raise NotFoundError(f"there is no task {task_id}", code="not_found")
        return target

    def _tell(self, task_id: uuid.UUID, delivery: int) -> bool:
        """Tell Redis; return whether an outcome can be expected soon."""
        if not self._broker.available:
            return False
        try:
            with self._calls:
                for _ in range(MAX_MOVES):
                    answer = self._broker.cancel(str(task_id), delivery)
                    if answer.outcome is not Cancelled.MOVED or answer.delivery is None:
                        return answer.outcome is not Cancelled.WAIT
                    delivery = answer.delivery
        except BrokerUnavailableError:
            return False
        return True

    def _read(self, tenant: str, task_id: uuid.UUID) -> Status:
        with self._ledger.transaction(self._timeout_seconds) as connection:
            row = get_task(connection, tenant, task_id)
        if row is None:
            raise NotFoundError(f"there is no task {task_id}", code="not_found")
        return Status(row.status)
