"""The thread of the main process that keeps an agent alive in everybody's eyes.

It beats, sends the outcomes that children could not send or could not say (hard limit, cancelled, died), and
stops the runs that Redis says must stop. Celery's own heartbeat cannot do it: it ends when a warm shutdown
begins, and the main loop stands still while the broker is away.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from orchestrator.broker.answers import Claimed, Reported
from orchestrator.errors import BrokerUnavailableError
from orchestrator.tasks.ids import new_token
from orchestrator.worker.clock import boottime
from orchestrator.worker.link import Run
from orchestrator.worker.liveness import is_alive
from orchestrator.worker.outcome import lost, timed_out, unreadable
from orchestrator.worker.slots import Doom, SlotState

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.worker.link import AgentLink
    from orchestrator.worker.outcome import Outcome
    from orchestrator.worker.slots import Slot, SlotTable

LEASE_MARGIN_SECONDS = 1.0
"""An exclusive run stops so much before the controller would give its task away."""
SWEEP_SECONDS = 0.25
RETRY_SECONDS = 0.5
KILL_AFTER_SECONDS = 1.5
"""A doomed run that its own child has not stopped by then is killed from here."""
MAX_STRAYS = 1000

log = structlog.get_logger(__name__)


class Heartbeat:
    """Beats every `interval_seconds`, at once when nudged, and after each new connection."""

    def __init__(
        self,
        link: AgentLink,
        table: SlotTable,
        *,
        interval_seconds: float,
        timeout_seconds: float,
        load: Callable[[], dict[str, Any]],
        on_replaced: Callable[[], None],
    ) -> None:
        self._link = link
        self._table = table
        self._interval = interval_seconds
        self._timeout = timeout_seconds
        self._load = load
        self._on_replaced = on_replaced
        self._record: dict[str, Any] = {}
        self._seq = 0
        self._status = "healthy"
        self._doomed_at: dict[str, float] = {}
        self._strays: list[tuple[str, int, str, str]] = []
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, record: dict[str, Any]) -> None:
        """Begin to beat for an agent that has just registered with this record."""
        self._record = record
        self._beat()
        for target, name in ((self._loop, "heartbeat"), (self._listen, "nudges")):
            thread = threading.Thread(target=target, name=f"orchestrator-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def say(self, status: str) -> None:
        """Change the status that the beats carry (`healthy`, `draining`) and beat at once."""
        self._status = status
        self._wake.set()

    def wake(self) -> None:
        """Look at the slots now: a child has died or a run was doomed."""
        self._wake.set()

    def doom(self, task_id: str, delivery: int, why: Doom) -> None:
        """Note why the main process stops a run; it is reported when its child is gone."""
        for slot in self._table.in_use():
            if slot.task_id == task_id and slot.delivery == delivery:
                self._doom(slot, why)
        self._wake.set()

    def fail_stray(self, task_id: str, delivery: int, code: str, error: str) -> None:
        """Record the failure of a message no child can be given; beyond MAX_STRAYS it waits for repair."""
        if len(self._strays) < MAX_STRAYS:
            self._strays.append((task_id, delivery, code, error))
            self._wake.set()

    def finish(self, timeout_seconds: float) -> None:
        """Send what is still unsent, within the bound, then leave the registry."""
        self._stopping.set()
        self._wake.set()
        give_up = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(timeout=max(0.0, give_up - time.monotonic()))
        while self._table.in_use() and time.monotonic() < give_up:
            self._sweep()
            if self._table.in_use():
                self._wake.wait(SWEEP_SECONDS)
                self._wake.clear()
        try:
            self._link.leave()
        except BrokerUnavailableError as error:
            log.warning("could_not_leave", error=str(error))

    def _loop(self) -> None:
        next_beat = 0.0
        while not self._stopping.is_set():
            try:
                if time.monotonic() >= next_beat or self._wake.is_set():
                    self._wake.clear()
                    next_beat = time.monotonic() + (self._interval if self._beat() else RETRY_SECONDS)
                self._sweep()
            except Exception:
                log.exception("heartbeat_failed")
                next_beat = time.monotonic() + RETRY_SECONDS
            busy = self._table.in_use() or self._strays
            pause = min(SWEEP_SECONDS if busy else self._interval, max(0.01, next_beat - time.monotonic()))
            self._wake.wait(pause)

    def _listen(self) -> None:
        pause = threading.Event()
        while not self._stopping.is_set():
            try:
                if self._link.wait_for_nudge(1.0):
                    self._wake.set()
            except Exception:  # noqa: BLE001 - redis raises many kinds; the beat itself reports what is wrong
                pause.wait(RETRY_SECONDS)

    def _beat(self) -> bool:
        sent_at = boottime()
        slots = self._table.in_use()
        held = [_run(slot) for slot in slots if slot.state is not SlotState.CLAIMING]
        self._seq += 1
        try:
            answer = self._link.beat(
                seq=self._seq,
                status=self._status,
                running=sum(slot.state is not SlotState.SPOOLED for slot in slots),
                load=self._load(),
                tokens=[slot.token for slot in slots],
                held=held,
            )
            if not answer.known:
                self._link.register(self._record)
                return False
        except BrokerUnavailableError as error:
            log.warning("heartbeat_not_sent", error=str(error))
            return False
        if answer.replaced:
            self._give_up(slots)
            return True
        self._table.lease_until = sent_at + self._timeout - LEASE_MARGIN_SECONDS
        for slot in slots:
            if slot.token in answer.stops:
                self._doom(slot, Doom.CANCELLED if answer.stops[slot.token] == "cancelled" else Doom.LOST)
        return True

    def _give_up(self, slots: list[Slot]) -> None:
        log.critical("replaced_by_another_process", agent_id=self._link.agent_id)
        for slot in slots:
            self._doom(slot, Doom.LOST)
        self._on_replaced()

    def _doom(self, slot: Slot, why: Doom) -> None:
        self._table.doom(slot, why)
        self._doomed_at.setdefault(slot.token, time.monotonic())

    def _sweep(self) -> None:
        slots = self._table.in_use()
        for slot in slots:
            if slot.state is SlotState.SPOOLED:
                kind, payload = self._table.read_spool(slot).decode().split("\n", 1)
                self._report(slot, kind, payload)
            elif not is_alive(slot.pid):
                self._bury(slot)
            elif time.monotonic() - self._doomed_at.get(slot.token, time.monotonic()) > KILL_AFTER_SECONDS:
                self._kill(slot)
        tokens = {slot.token for slot in slots}
        self._doomed_at = {token: at for token, at in self._doomed_at.items() if token in tokens}
        while self._strays and self._settle_stray(*self._strays[0]):
            self._strays.pop(0)

    def _kill(self, slot: Slot) -> None:
        """Kill the child of a run, unless it went on to its next one while others were reported."""
        current = self._table.read(slot.index)
        if current.token == slot.token and current.state is slot.state:
            _kill(slot.pid)

    def _bury(self, slot: Slot) -> None:
        """Report what a dead child could not, once nothing that it started is left."""
        current = self._table.read(slot.index)
        if current.token != slot.token or current.state is not slot.state:
            return
        _kill_group(slot.pid)
        outcome: Outcome | None
        match current.doomed:
            case Doom.HARD_TIME_LIMIT:
                outcome = timed_out(None, hard=True)
            case Doom.CANCELLED:
                outcome = None
            case Doom.LOST:
                self._table.free(slot.index)
                return
            case Doom.ABANDONED:
                outcome = lost("abandoned")
            case Doom.STOPPED:
                outcome = lost("stopped")
            case Doom.NONE:
                expired = current.exclusive and boottime() > self._table.lease_until
                outcome = lost("abandoned" if expired else "child_died")
        self._report(slot, *_event(outcome))

    def _report(self, slot: Slot, kind: str, payload: str) -> None:
        try:
            answer = self._link.report(_run(slot), kind, payload)
        except BrokerUnavailableError:
            return
        if answer is Reported.WAIT:
            return
        if answer is Reported.REFUSED:
            log.warning("outcome_refused", task_id=slot.task_id, delivery=slot.delivery, outcome=kind)
        self._table.free(slot.index)

    def _settle_stray(self, task_id: str, delivery: int, code: str, error: str) -> bool:
        run = Run(task_id, delivery, new_token())
        try:
            answer, _ = self._link.claim(run, pid=os.getpid())
            if answer is Claimed.GRANTED:
                outcome = unreadable(code, error)
                return self._link.report(run, *_event(outcome)) is not Reported.WAIT
        except BrokerUnavailableError:
            return False
        return answer is Claimed.REFUSED


def _event(outcome: Outcome | None) -> tuple[str, str]:
    return ("cancelled", "{}") if outcome is None else (outcome.kind, json.dumps(outcome.payload))


def _run(slot: Slot) -> Run:
    return Run(slot.task_id, slot.delivery, slot.token)


def _kill(pid: int) -> None:
    _kill_group(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _kill_group(leader: int) -> None:
    """Kill what a child leads; its number stays taken for as long as one of its group lives."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
