"""Group commit with threads: who shares a commit, who is refused, and that nobody is left waiting."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from orchestrator.broker.answers import Delivered
from orchestrator.broker.gateway import Decision
from orchestrator.errors import (
    BrokerUnavailableError,
    CommitUnknownError,
    LedgerDataError,
    LedgerUnavailableError,
    OverloadedError,
)
from orchestrator.intake.budget import Budget
from orchestrator.intake.group_commit import Accepted, GroupCommit
from orchestrator.intake.options import IntakeOptions
from orchestrator.tasks.status import Status
from orchestrator.tasks.submission import NewTask
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence

    from orchestrator.tasks.state import Publishable

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class FakeStore:
    """Keeps batches; `before` runs inside each insert and may raise."""

    before: Callable[[Sequence[NewTask], float], None] = lambda _tasks, _seconds: None
    batches: list[list[NewTask]] = field(default_factory=list)
    found: set[uuid.UUID] = field(default_factory=set)

    def insert(self, tasks: Sequence[NewTask], timeout_seconds: float) -> list[datetime]:
        self.before(tasks, timeout_seconds)
        self.batches.append(list(tasks))
        return [NOW for _ in tasks]

    def find_created(self, ids: Sequence[uuid.UUID], _timeout_seconds: float) -> dict[uuid.UUID, datetime]:
        return {task_id: NOW for task_id in ids if task_id in self.found}


@dataclass
class FakeBroker:
    """Puts everything on its queue unless it is away."""

    away: bool = False
    answer: Delivered = Delivered.QUEUED
    published: list[list[Publishable]] = field(default_factory=list)

    def decided(self) -> Decision:
        return Decision("epoch", 0)

    def publish(self, items: Sequence[Publishable], *, decision: Decision | None = None) -> list[Delivered]:
        assert decision == Decision("epoch", 0)
        if self.away:
            raise BrokerUnavailableError("away")
        self.published.append(list(items))
        return [self.answer for _ in items]


def new_task(parameters_json: str = "{}") -> NewTask:
    return NewTask("probe", "anything", parameters_json=parameters_json)


def hold(gate: threading.Event, entered: threading.Event) -> Callable[[Sequence[NewTask], float], None]:
    def before(_tasks: Sequence[NewTask], _seconds: float) -> None:
        entered.set()
        assert gate.wait(10)

    return before


def test_a_lone_submission_goes_at_once() -> None:
    store, broker = FakeStore(), FakeBroker()
    task = new_task()

    accepted = GroupCommit(store, broker, IntakeOptions()).submit(task, Budget.of(1.5))

    assert accepted == Accepted(task, NOW, Status.QUEUED)
    assert [len(batch) for batch in store.batches] == [1]
    assert broker.published[0][0].id == task.id


def test_what_arrives_during_a_commit_shares_the_next() -> None:
    gate, entered = threading.Event(), threading.Event()
    store = FakeStore(before=hold(gate, entered))
    commits = GroupCommit(store, FakeBroker(), IntakeOptions())
    with ThreadPoolExecutor(21) as pool:
        first = pool.submit(commits.submit, new_task(), Budget.of(5))
        assert entered.wait(5)
        rest = [pool.submit(commits.submit, new_task(), Budget.of(5)) for _ in range(20)]
        wait_for(lambda: len(commits._waiting) == 20)
        gate.set()
        accepted = [future.result(5) for future in [first, *rest]]

    assert [len(batch) for batch in store.batches] == [1, 20]
    assert len({each.task.id for each in accepted}) == 21


def test_batch_is_bounded_in_rows() -> None:
    gate, entered = threading.Event(), threading.Event()
    store = FakeStore(before=hold(gate, entered))
    commits = GroupCommit(store, FakeBroker(), IntakeOptions(batch_rows=8))
    with ThreadPoolExecutor(21) as pool:
        first = pool.submit(commits.submit, new_task(), Budget.of(5))
        assert entered.wait(5)
        rest = [pool.submit(commits.submit, new_task(), Budget.of(5)) for _ in range(20)]
        wait_for(lambda: len(commits._waiting) == 20)
        gate.set()
        for future in [first, *rest]:
            future.result(5)

    assert [len(batch) for batch in store.batches] == [1, 8, 8, 4]


def test_one_bad_row_fails_alone() -> None:
    gate, entered = threading.Event(), threading.Event()
    held = hold(gate, entered)

    def before(tasks: Sequence[NewTask], seconds: float) -> None:
        held(tasks, seconds)
        if any(task.parameters_json == "bad" for task in tasks):
            raise LedgerDataError("bad row")

    store = FakeStore(before=before)
    commits = GroupCommit(store, FakeBroker(), IntakeOptions())
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(commits.submit, new_task(), Budget.of(5))
        assert entered.wait(5)
        bad = pool.submit(commits.submit, new_task("bad"), Budget.of(5))
        good = [pool.submit(commits.submit, new_task(), Budget.of(5)) for _ in range(4)]
        wait_for(lambda: len(commits._waiting) == 5)
        gate.set()

        assert [future.result(5).status for future in [first, *good]] == [Status.QUEUED] * 5
        with pytest.raises(LedgerDataError):
            bad.result(5)


def test_ledger_away_refuses_everybody_and_the_next_is_tried_again() -> None:
    failing = True

    def before(_tasks: Sequence[NewTask], _seconds: float) -> None:
        if failing:
            raise LedgerUnavailableError("away")

    commits = GroupCommit(FakeStore(before=before), FakeBroker(), IntakeOptions())
    with pytest.raises(LedgerUnavailableError):
        commits.submit(new_task(), Budget.of(5))
    failing = False

    assert commits.submit(new_task(), Budget.of(5)).status is Status.QUEUED


def test_a_submission_that_was_not_begun_is_withdrawn_when_its_time_is_over() -> None:
    gate, entered = threading.Event(), threading.Event()
    store = FakeStore(before=hold(gate, entered))
    commits = GroupCommit(store, FakeBroker(), IntakeOptions())
    late = new_task()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(commits.submit, new_task(), Budget.of(10))
        assert entered.wait(5)
        started = time.monotonic()
        with pytest.raises(LedgerUnavailableError, match="nothing was accepted"):
            commits.submit(late, Budget.of(0.4))
        assert time.monotonic() - started < 2
        gate.set()
        first.result(5)

    assert late.id not in {task.id for batch in store.batches for task in batch}


def test_who_has_no_time_left_is_turned_away_without_a_transaction() -> None:
    store = FakeStore()
    commits = GroupCommit(store, FakeBroker(), IntakeOptions())

    with pytest.raises(LedgerUnavailableError, match="nothing was accepted"):
        commits.submit(new_task(), Budget.of(0.1))

    assert store.batches == []
    assert commits.submit(new_task(), Budget.of(1)).status is Status.QUEUED


def test_a_transaction_is_as_patient_as_its_least_patient_member() -> None:
    gate, entered = threading.Event(), threading.Event()
    seconds: list[float] = []
    held = hold(gate, entered)

    def before(tasks: Sequence[NewTask], timeout_seconds: float) -> None:
        held(tasks, timeout_seconds)
        seconds.append(timeout_seconds)

    commits = GroupCommit(FakeStore(before=before), FakeBroker(), IntakeOptions())
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(commits.submit, new_task(), Budget.of(20))
        assert entered.wait(5)
        rest = [pool.submit(commits.submit, new_task(), Budget.of(budget)) for budget in (20, 8)]
        wait_for(lambda: len(commits._waiting) == 2)
        gate.set()
        for future in [first, *rest]:
            future.result(5)

    assert seconds[0] > 15
    assert seconds[1] <= 8


def test_more_than_may_wait_is_refused_at_once() -> None:
    gate, entered = threading.Event(), threading.Event()
    commits = GroupCommit(FakeStore(before=hold(gate, entered)), FakeBroker(), IntakeOptions(queue_length=1))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(commits.submit, new_task(), Budget.of(5))
        assert entered.wait(5)
        second = pool.submit(commits.submit, new_task(), Budget.of(5))
        wait_for(lambda: len(commits._waiting) == 1)
        with pytest.raises(OverloadedError):
            commits.submit(new_task(), Budget.of(5))
        gate.set()

        assert {first.result(5).status, second.result(5).status} == {Status.QUEUED}


def lost_answer(_tasks: Sequence[NewTask], _seconds: float) -> None:
    raise CommitUnknownError("connection lost in COMMIT")


def test_commit_whose_answer_was_lost_is_looked_up() -> None:
    task = new_task()
    broker = FakeBroker()
    store = FakeStore(before=lost_answer, found={task.id})

    accepted = GroupCommit(store, broker, IntakeOptions()).submit(task, Budget.of(1))

    assert accepted.status is Status.QUEUED
    assert broker.published[0][0].id == task.id


def test_commit_that_cannot_be_found_is_answered_as_unknown() -> None:
    task = new_task()
    commits = GroupCommit(FakeStore(before=lost_answer), FakeBroker(), IntakeOptions())

    with pytest.raises(CommitUnknownError, match=str(task.id)):
        commits.submit(task, Budget.of(1))


@pytest.mark.parametrize("answer", [Delivered.FULL, Delivered.WAIT, Delivered.STALE, Delivered.REFUSED])
def test_what_is_not_on_its_queue_is_pending(answer: Delivered) -> None:
    commits = GroupCommit(FakeStore(), FakeBroker(answer=answer), IntakeOptions())

    assert commits.submit(new_task(), Budget.of(1)).status is Status.PENDING


def test_broker_away_is_pending() -> None:
    commits = GroupCommit(FakeStore(), FakeBroker(away=True), IntakeOptions())

    assert commits.submit(new_task(), Budget.of(1)).status is Status.PENDING


def test_delayed_task_is_not_published() -> None:
    broker = FakeBroker()
    delayed = NewTask("probe", "anything", delay_seconds=60)

    accepted = GroupCommit(FakeStore(), broker, IntakeOptions()).submit(delayed, Budget.of(1))

    assert accepted.status is Status.PENDING
    assert broker.published == []


def test_a_leader_that_breaks_off_leaves_nobody_waiting() -> None:
    class BrokeOff(BaseException):
        pass

    gate, entered = threading.Event(), threading.Event()
    held = hold(gate, entered)
    breaking = True

    def before(tasks: Sequence[NewTask], seconds: float) -> None:
        held(tasks, seconds)
        if breaking:
            raise BrokeOff

    commits = GroupCommit(FakeStore(before=before), FakeBroker(), IntakeOptions())
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(commits.submit, new_task(), Budget.of(5))
        assert entered.wait(5)
        second = pool.submit(commits.submit, new_task(), Budget.of(5))
        wait_for(lambda: len(commits._waiting) == 1)
        gate.set()
        for future in (first, second):
            with pytest.raises(BrokeOff):
                future.result(5)
    breaking = False

    assert commits.submit(new_task(), Budget.of(1)).status is Status.QUEUED


def test_many_threads_each_get_their_own_answer() -> None:
    store = FakeStore()
    commits = GroupCommit(store, FakeBroker(), IntakeOptions(batch_rows=7))
    tasks = [new_task() for _ in range(600)]
    with ThreadPoolExecutor(40) as pool:
        accepted = list(pool.map(lambda task: commits.submit(task, Budget.of(20)), tasks))

    assert [each.task.id for each in accepted] == [task.id for task in tasks]
    assert sorted(task.id for batch in store.batches for task in batch) == sorted(task.id for task in tasks)
    assert commits._led is False
    assert commits._waiting == {}
