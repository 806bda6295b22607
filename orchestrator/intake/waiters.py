"""Requests that wait for a task to end: woken after the recorder's commit, by one listener a process."""

from __future__ import annotations

import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import structlog

from orchestrator.errors import BrokerUnavailableError, OverloadedError, UnavailableError
from orchestrator.tasks.status import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from orchestrator.broker.announcements import Announcement
    from orchestrator.ledger.tasks import TaskRow

log = structlog.get_logger()

ROWS_PER_READ = 100
LISTEN_SECONDS = 1.0
BACKOFF_SECONDS = 0.5


class Listening(Protocol):
    """What the listener needs of the broker's announcements."""

    def next(self, timeout_seconds: float) -> Announcement | None:
        """Return the next announcement, or None if none came in time."""
        ...


@dataclass(slots=True, eq=False)
class Wait:
    """One request's wait for one task."""

    task_id: uuid.UUID
    woken: threading.Event = field(default_factory=threading.Event)
    row: TaskRow | None = None

    def result(self, timeout_seconds: float) -> TaskRow | None:
        """Wait; return the task's final row, or None if it did not end in time or the process is stopping."""
        self.woken.wait(timeout_seconds)
        return self.row


class Waiters:
    """Who waits for what.

    Reads the ledger only when something was announced, once for all that it concerns.
    """

    def __init__(self, read: Callable[[Sequence[uuid.UUID]], Sequence[TaskRow]], *, limit: int) -> None:
        self._read = read
        self._limit = limit
        self._lock = threading.Lock()
        self._waits: dict[uuid.UUID, set[Wait]] = {}
        self._count = 0
        self._unread: set[uuid.UUID] = set()
        self._stopped = threading.Event()

    @property
    def count(self) -> int:
        """How many requests wait now."""
        return self._count

    @contextmanager
    def expect(self, task_id: uuid.UUID) -> Iterator[Wait]:
        """Begin to wait. Read the task after this: whatever ends from here on wakes the wait.

        Raises OverloadedError when too many wait already.
        """
        wait = Wait(task_id)
        with self._lock:
            if self._count >= self._limit:
                raise OverloadedError(f"{self._limit} requests are waiting already; ask again without wait")
            self._count += 1
            self._waits.setdefault(task_id, set()).add(wait)
            if self._stopped.is_set():
                wait.woken.set()
        try:
            yield wait
        finally:
            with self._lock:
                self._count -= 1
                same = self._waits[task_id]
                same.discard(wait)
                if not same:
                    del self._waits[task_id]

    def listen(self, announcements: Listening) -> None:
        """Wake whom it concerns, until `stop`."""
        while not self._stopped.is_set():
            try:
                self.listen_once(announcements)
            except UnavailableError as error:
                log.info("waiters_cannot_read", reason=str(error))
                self._stopped.wait(BACKOFF_SECONDS)

    def listen_once(self, announcements: Listening) -> int:
        """Take one announcement and wake whom it concerns; return how many tasks were read.

        What could not be read is read the next time.
        """
        try:
            heard = announcements.next(BACKOFF_SECONDS if self._unread else LISTEN_SECONDS)
        except BrokerUnavailableError:
            self._stopped.wait(BACKOFF_SECONDS)
            heard = None
        with self._lock:
            if heard is not None:
                self._unread |= self._waits.keys() if heard.reread_all else _ids(heard) & self._waits.keys()
            self._unread &= self._waits.keys()
            ids = list(self._unread)
        for start in range(0, len(ids), ROWS_PER_READ):
            self._wake(ids[start : start + ROWS_PER_READ])
        return len(ids)

    def stop(self) -> None:
        """Let every wait end now with what is known, and every later one at once."""
        with self._lock:
            self._stopped.set()
            for waits in self._waits.values():
                for wait in waits:
                    wait.woken.set()

    def _wake(self, ids: list[uuid.UUID]) -> None:
        rows = self._read(ids)
        with self._lock:
            self._unread.difference_update(ids)
            for row in rows:
                if row.status in TERMINAL:
                    for wait in self._waits.get(row.id, ()):
                        wait.row = row
                        wait.woken.set()


def _ids(heard: Announcement) -> set[uuid.UUID]:
    return {uuid.UUID(task_id) for task_id in heard.ids}
