"""Waiters: woken by what they wait for, by nothing else, and without a statement while nothing ends."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from typing import TYPE_CHECKING

import pytest

from orchestrator.broker.announcements import Announcement
from orchestrator.errors import BrokerUnavailableError, LedgerUnavailableError, OverloadedError
from orchestrator.intake.waiters import Waiters
from orchestrator.tasks.status import Status
from tests.unit.intake.rows import task_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.ledger.rows import TaskRow


class FakeAnnouncements:
    """Says what it was given, one by one, then nothing."""

    def __init__(self, *said: Announcement | Exception) -> None:
        self.said = deque(said)

    def next(self, timeout_seconds: float) -> Announcement | None:
        assert timeout_seconds > 0
        if not self.said:
            return None
        said = self.said.popleft()
        if isinstance(said, Exception):
            raise said
        return said


class FakeLedger:
    """Rows by id, and what was asked for."""

    def __init__(self, *rows: TaskRow) -> None:
        self.rows = {row.id: row for row in rows}
        self.asked: list[set[uuid.UUID]] = []
        self.away = False

    def read(self, ids: Sequence[uuid.UUID]) -> list[TaskRow]:
        self.asked.append(set(ids))
        if self.away:
            raise LedgerUnavailableError("away")
        return [self.rows[task_id] for task_id in ids if task_id in self.rows]


def finished(*rows: TaskRow) -> Announcement:
    return Announcement(frozenset(str(row.id) for row in rows))


EVERYTHING = Announcement(frozenset(), reread_all=True)


def test_announced_tasks_are_read_in_one_statement_and_wake_their_waits() -> None:
    rows = [task_row(status=Status.COMPLETED) for _ in range(3)]
    stranger = task_row(status=Status.COMPLETED)
    ledger = FakeLedger(*rows, stranger)
    waiters = Waiters(ledger.read, limit=10)
    with (
        waiters.expect(rows[0].id) as first,
        waiters.expect(rows[0].id) as same,
        waiters.expect(rows[1].id) as other,
    ):
        read = waiters.listen_once(FakeAnnouncements(finished(rows[0], rows[1], stranger)))

        assert read == 2
        assert ledger.asked == [{rows[0].id, rows[1].id}]
        assert [wait.result(0) for wait in (first, same, other)] == [rows[0], rows[0], rows[1]]
    assert waiters.count == 0


def test_nothing_is_read_while_nothing_that_matters_ends() -> None:
    waited, stranger = task_row(), task_row(status=Status.COMPLETED)
    ledger = FakeLedger(waited, stranger)
    waiters = Waiters(ledger.read, limit=10)
    with waiters.expect(waited.id) as wait:
        waiters.listen_once(FakeAnnouncements())
        waiters.listen_once(FakeAnnouncements(finished(stranger)))

        assert ledger.asked == []
        assert wait.result(0) is None


def test_after_a_new_connection_every_waited_task_is_read() -> None:
    ended, running = task_row(status=Status.FAILED), task_row(status=Status.RUNNING)
    ledger = FakeLedger(ended, running)
    waiters = Waiters(ledger.read, limit=10)
    with waiters.expect(ended.id) as first, waiters.expect(running.id) as second:
        waiters.listen_once(FakeAnnouncements(EVERYTHING))

        assert ledger.asked == [{ended.id, running.id}]
        assert first.result(0) == ended
        assert second.result(0) is None


def test_what_could_not_be_read_is_read_the_next_time() -> None:
    row = task_row(status=Status.COMPLETED)
    ledger = FakeLedger(row)
    ledger.away = True
    waiters = Waiters(ledger.read, limit=10)
    with waiters.expect(row.id) as wait:
        with pytest.raises(LedgerUnavailableError):
            waiters.listen_once(FakeAnnouncements(finished(row)))
        ledger.away = False
        waiters.listen_once(FakeAnnouncements())

        assert wait.result(0) == row
        assert waiters.listen_once(FakeAnnouncements()) == 0


def test_too_many_waits_are_refused() -> None:
    waiters = Waiters(FakeLedger().read, limit=1)
    with waiters.expect(uuid.uuid4()), pytest.raises(OverloadedError), waiters.expect(uuid.uuid4()):
        pytest.fail("one too many was let in")
    with waiters.expect(uuid.uuid4()):
        assert waiters.count == 1


def test_stop_ends_every_wait_present_and_later() -> None:
    waiters = Waiters(FakeLedger().read, limit=10)
    with waiters.expect(uuid.uuid4()) as wait:
        threading.Timer(0.05, waiters.stop).start()
        assert wait.result(10) is None
        with waiters.expect(uuid.uuid4()) as later:
            assert later.result(10) is None


def test_listening_goes_on_after_outages_until_it_is_stopped() -> None:
    row = task_row(status=Status.COMPLETED)
    ledger = FakeLedger(row)
    waiters = Waiters(ledger.read, limit=10)
    announcements = FakeAnnouncements(BrokerUnavailableError("away"), finished(row))
    with waiters.expect(row.id) as wait:
        listener = threading.Thread(target=waiters.listen, args=(announcements,))
        listener.start()
        assert wait.result(10) == row
    waiters.stop()
    listener.join(10)
    assert not listener.is_alive()
