"""Group commit: submissions that arrive together share one INSERT, one COMMIT and one publish.

There is no timer and no thread of its own. The first submission that finds nobody at work leads: it takes all
that is waiting, settles it, appoints the oldest of those that came meanwhile, and answers its own client. A
lone submission goes at once.

What it does not do: repeat anything whose outcome is unknown. A COMMIT that broke is looked up, and what
cannot be looked up is answered as unknown.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from orchestrator.broker.answers import Delivered
from orchestrator.errors import (
    BrokerUnavailableError,
    CommitUnknownError,
    LedgerConflictError,
    LedgerDataError,
    LedgerUnavailableError,
    OrchestratorError,
    OverloadedError,
)
from orchestrator.intake.publishing import publishable
from orchestrator.tasks.status import Status

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from datetime import datetime

    from orchestrator.broker.gateway import Decision
    from orchestrator.intake.budget import Budget
    from orchestrator.intake.options import IntakeOptions
    from orchestrator.tasks.state import Publishable
    from orchestrator.tasks.submission import NewTask

MIN_TRANSACTION_SECONDS = 0.3
"""Less of a budget is not begun with: a batch is only as patient as its least patient member."""
LOOKUP_SECONDS = 0.3
MAX_BATCH_BYTES = 8 * 1024 * 1024


class Store(Protocol):
    """What group commit needs of the ledger."""

    def insert(self, tasks: Sequence[NewTask], timeout_seconds: float) -> list[datetime]:
        """Insert all in one transaction; return created_at in order."""
        ...

    def find_created(self, ids: Sequence[uuid.UUID], timeout_seconds: float) -> dict[uuid.UUID, datetime]:
        """Return created_at of those that are there."""
        ...


class Publisher(Protocol):
    """What group commit needs of the broker."""

    def decided(self) -> Decision:
        """Return the moment of the decision, to be taken before the transaction."""
        ...

    def publish(self, items: Sequence[Publishable], *, decision: Decision | None = None) -> list[Delivered]:
        """Put all on their queues in one round trip."""
        ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """A submission that is committed in the ledger."""

    task: NewTask
    created_at: datetime
    status: Status


@dataclass(slots=True, eq=False)
class _Entry:
    task: NewTask
    budget: Budget
    woken: threading.Event = field(default_factory=threading.Event)
    appointed: bool = False
    outcome: Accepted | BaseException | None = None


class GroupCommit:
    """Accepts submissions of any number of threads (or greenlets)."""

    def __init__(self, store: Store, publisher: Publisher, options: IntakeOptions) -> None:
        self._store = store
        self._publisher = publisher
        self._options = options
        self._lock = threading.Lock()
        self._waiting: dict[uuid.UUID, _Entry] = {}
        self._led = False

    def submit(self, task: NewTask, budget: Budget) -> Accepted:
        """Commit one task and publish it.

        Raises OverloadedError (nothing was tried), LedgerUnavailableError (not accepted), CommitUnknownError
        (may have been accepted), LedgerDataError (the ledger cannot hold it).
        """
        entry = _Entry(task, budget)
        with self._lock:
            if len(self._waiting) >= self._options.queue_length:
                raise OverloadedError("too many submissions are waiting to be written down")
            self._waiting[task.id] = entry
            leads, self._led = not self._led, True
        if leads or self._follow(entry):
            self._lead(entry)
        if isinstance(entry.outcome, Accepted):
            return entry.outcome
        raise entry.outcome or RuntimeError("a submission was left without an outcome")

    def _follow(self, entry: _Entry) -> bool:
        """Wait until this submission is settled (False), withdrawn (False) or has to lead (True)."""
        try:
            if not entry.woken.wait(entry.budget.remaining()) and not self._withdraw(entry):
                entry.woken.wait()  # a leader has it, and every leader is bounded
        except BaseException:
            if not self._withdraw(entry) and entry.appointed and entry.outcome is None:
                self._lead(entry)
            raise
        return entry.outcome is None

    def _withdraw(self, entry: _Entry) -> bool:
        """Take back a submission that no leader has begun: from then on it is certainly not accepted."""
        with self._lock:
            if entry.appointed or self._waiting.pop(entry.task.id, None) is None:
                return False
            entry.outcome = _not_accepted()
            return True

    def _lead(self, own: _Entry) -> None:
        batch = [own]
        try:
            batch = self._take()
            if batch:
                self._settle(batch)
        except BaseException as error:
            for entry in batch:
                entry.outcome = entry.outcome or _translated(error)
            raise
        finally:
            self._hand_over()
            for entry in batch:
                entry.woken.set()

    def _take(self) -> list[_Entry]:
        """Take what is waiting, oldest first, within the batch's bounds."""
        batch: list[_Entry] = []
        size = 0
        with self._lock:
            self._turn_away()
            for task_id, entry in list(self._waiting.items()):
                size += len(entry.task.parameters_json)
                if batch and (len(batch) >= self._options.batch_rows or size > MAX_BATCH_BYTES):
                    break
                batch.append(self._waiting.pop(task_id))
        return batch

    def _hand_over(self) -> None:
        """Appoint the oldest that still has time: a leader serves others no longer than its own budget."""
        with self._lock:
            self._turn_away()
            successor = next(iter(self._waiting.values()), None)
            self._led = successor is not None
            if successor is not None:
                successor.appointed = True
                successor.woken.set()

    def _turn_away(self) -> None:
        """Answer those at once whose budget is too short to begin with. Called with the lock."""
        for task_id, entry in list(self._waiting.items()):
            if entry.budget.remaining() < MIN_TRANSACTION_SECONDS:
                del self._waiting[task_id]
                entry.outcome = _not_accepted()
                entry.woken.set()

    def _settle(self, batch: list[_Entry]) -> None:
        decision = self._decision()
        created = self._insert(batch)
        accepted = [(entry, created[entry.task.id]) for entry in batch if entry.task.id in created]
        self._publish(accepted, decision)

    def _decision(self) -> Decision | None:
        try:
            return self._publisher.decided()
        except BrokerUnavailableError:
            return None

    def _insert(self, batch: list[_Entry]) -> dict[uuid.UUID, datetime]:
        """Commit the batch; give every entry that is not in the answer its error."""
        tasks = [entry.task for entry in batch]
        seconds = max(min(entry.budget.remaining() for entry in batch), MIN_TRANSACTION_SECONDS / 2)
        try:
            return dict(zip([task.id for task in tasks], self._store.insert(tasks, seconds), strict=True))
        except CommitUnknownError as error:
            return self._look_up(batch, error)
        except (LedgerDataError, LedgerConflictError) as error:
            if len(batch) == 1:
                batch[0].outcome = error
                return {}
            return self._insert_singly(batch)
        except LedgerUnavailableError as error:
            for entry in batch:
                entry.outcome = LedgerUnavailableError(str(error))
            return {}

    def _insert_singly(self, batch: list[_Entry]) -> dict[uuid.UUID, datetime]:
        """Repeat a batch row by row, so that nobody's submission fails for another's."""
        created: dict[uuid.UUID, datetime] = {}
        for entry in batch:
            if entry.budget.remaining() > 0:
                created |= self._insert([entry])
            else:
                entry.outcome = LedgerUnavailableError(
                    "the ledger did not answer in time; nothing was accepted"
                )
        return created

    def _look_up(self, batch: list[_Entry], error: CommitUnknownError) -> dict[uuid.UUID, datetime]:
        """Find out on a new connection what became of a COMMIT whose answer was lost."""
        try:
            created = self._store.find_created([entry.task.id for entry in batch], LOOKUP_SECONDS)
        except (LedgerUnavailableError, LedgerConflictError):
            created = {}
        for entry in batch:
            if entry.task.id not in created:
                entry.outcome = CommitUnknownError(
                    f"the ledger went away while task {entry.task.id} was being committed ({error}); "
                    "look it up before you submit it again"
                )
        return created

    def _publish(self, accepted: list[tuple[_Entry, datetime]], decision: Decision | None) -> None:
        """Publish what is due now.

        Without the broker the rows stay pending, and the controller publishes them.
        """
        due = [entry.task for entry, _ in accepted if not entry.task.starts_later]
        queued: set[uuid.UUID] = set()
        if due and decision is not None:
            try:
                answers = self._publisher.publish([publishable(task) for task in due], decision=decision)
            except BrokerUnavailableError:
                answers = []
            queued = {task.id for task, answer in zip(due, answers, strict=False) if answer in _ON_ITS_QUEUE}
        for entry, created_at in accepted:
            status = Status.QUEUED if entry.task.id in queued else Status.PENDING
            entry.outcome = Accepted(entry.task, created_at, status)


_ON_ITS_QUEUE = frozenset({Delivered.QUEUED, Delivered.ALREADY})


def _not_accepted() -> LedgerUnavailableError:
    return LedgerUnavailableError("the ledger did not answer in time; nothing was accepted")


def _translated(error: BaseException) -> BaseException:
    """Return what the others of a batch are told when its leader broke off."""
    if isinstance(error, OrchestratorError):
        return error
    return CommitUnknownError("the submission broke off; look it up before you submit it again")
