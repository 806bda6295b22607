"""The thread in each pool child that stops its run when it must.

That is: doomed from outside, past its hard limit, or exclusive with an agent that has lost touch.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from orchestrator.worker.clock import boottime
from orchestrator.worker.slots import Doom, SlotState

if TYPE_CHECKING:
    from orchestrator.worker.reporter import RunReporter
    from orchestrator.worker.slots import Slot, SlotTable

BUSY_POLL_SECONDS = 0.05
IDLE_POLL_SECONDS = 0.5
ALARM_SLACK_SECONDS = 0.2
"""The alarm ends only the child, this thread its whole group: the alarm strikes so much later."""
HARD_LIMIT_SLACK_SECONDS = 1.0
"""The main process enforces the hard limit; the child does so itself this much later, should main hang."""


class Watchdog:
    """Watches one slot's run at a time and kills its own process group: a handler's subprocesses go too."""

    def __init__(self, table: SlotTable) -> None:
        self._table = table
        self._watched: tuple[int, str] | None = None
        self._reporter: RunReporter | None = None
        threading.Thread(target=self._loop, name="orchestrator-watchdog", daemon=True).start()

    def watch(self, index: int, token: str, reporter: RunReporter, *, exclusive: bool) -> None:
        """Begin to watch; an exclusive run also sets the kernel's alarm, which strikes frozen threads too."""
        self._reporter = reporter
        self._watched = (index, token)
        if exclusive:
            self._arm_alarm()

    def release(self, *, exclusive: bool) -> None:
        """End the watch: the run is over."""
        self._watched = None
        self._reporter = None
        if exclusive:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _loop(self) -> None:
        pause = threading.Event()
        while True:
            watched = self._watched
            if watched is None:
                pause.wait(IDLE_POLL_SECONDS)
                continue
            slot = self._table.read(watched[0])
            if slot.token == watched[1] and slot.state in (SlotState.CLAIMING, SlotState.HELD):
                self._check(slot, watched)
            pause.wait(BUSY_POLL_SECONDS)

    def _check(self, slot: Slot, watched: tuple[int, str]) -> None:
        now = boottime()
        if slot.exclusive and now > self._table.lease_until:
            self._table.doom(slot, Doom.ABANDONED)
        if now > slot.hard_deadline + HARD_LIMIT_SLACK_SECONDS:
            self._table.doom(slot, Doom.HARD_TIME_LIMIT)
        if self._table.read(slot.index).doomed is not Doom.NONE and self._watched == watched:
            kill_own_group()
        if slot.exclusive and self._watched == watched:
            self._arm_alarm()
        if (reporter := self._reporter) is not None:
            reporter.flush_if_due()

    def _arm_alarm(self) -> None:
        remaining = self._table.lease_until - boottime() + ALARM_SLACK_SECONDS
        signal.setitimer(signal.ITIMER_REAL, max(remaining, 0.001))


def become_group_leader() -> None:
    """Make this child the leader of its own process group, so that what it starts dies with it."""
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def kill_own_group() -> None:
    """End this process and everything that it started, at once."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
