"""The recorder: events of the stream become rows of the ledger, in batches, each exactly once."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from orchestrator.broker.stream import stream_order
from orchestrator.controller.events import (
    AGENT_EVENTS,
    OUTCOMES,
    BadEventError,
    EventType,
    parse,
    unrecordable,
)
from orchestrator.controller.fold import fold
from orchestrator.errors import BrokerUnavailableError, LedgerDataError
from orchestrator.ledger import catalogue, executions, leadership, recording

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from orchestrator.broker.inspection import Inspector
    from orchestrator.broker.stream import Batch, Entry, EventStream
    from orchestrator.controller.events import Event
    from orchestrator.controller.fold import Folded
    from orchestrator.controller.progress import Progress
    from orchestrator.ledger.engine import Ledger, Transaction

BLOCK_SECONDS = 0.5
TRANSACTION_SECONDS = 10.0
_BAD_EVENT = (BadEventError, LedgerDataError, ValueError, TypeError, LookupError, AttributeError)
"""What one event may raise that the others of its batch have no part in."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RecorderReport:
    """What one pass did."""

    read: int = 0
    applied: int = 0
    ignored: int = 0
    rejected: int = 0
    finished: int = 0
    lag_seconds: float = 0.0

    @property
    def notable(self) -> bool:
        """Whether an operator should see it: something was set aside."""
        return self.rejected > 0


@dataclass
class Recorder:
    """Applies the stream to the ledger for as long as `term` leads."""

    ledger: Ledger
    stream: EventStream
    inspector: Inspector
    progress: Progress
    wake_publisher: threading.Event
    term: int
    max_worker_losses: int
    rng: random.Random = field(default_factory=random.Random)
    _stream_name: str = ""
    _missed_announcements: bool = True
    _unwanted: list[tuple[str, int]] = field(default_factory=list)

    def run_once(self) -> RecorderReport:
        """Read, apply, trim and announce one batch.

        Raises BrokerUnavailableError, UnavailableError or LostLeadershipError; whatever was committed by then
        is skipped when it is read again.
        """
        batch = self.stream.read(block_seconds=BLOCK_SECONDS)
        if batch.stream != self._stream_name:
            self.progress.restart()
            self._stream_name = batch.stream
        if not batch.entries:
            self._stop_unwanted()
            if self._missed_announcements:
                self._announce([])
            return RecorderReport()
        report, folded = self._apply(batch, batch.entries)
        self.progress.reached(batch.entries[-1].id)
        finished = [task_id for part in folded for task_id in part.finished]
        missed, self._missed_announcements = self._missed_announcements, True
        self.stream.settle(
            [entry.id for entry in batch.entries], [pair for part in folded for pair in part.ended]
        )
        self._missed_announcements = missed
        self._announce(finished)
        if any(part.due_now for part in folded):
            self.wake_publisher.set()
        self._unwanted += [run for part in folded for run in part.unwanted]
        self._stop_unwanted()
        return report

    def _stop_unwanted(self) -> None:
        if self._unwanted:
            log.info("stopping_runs_of_ended_tasks", count=len(self._unwanted), runs=self._unwanted[:10])
            self._unwanted = self.stream.stop_runs(self._unwanted)

    def _announce(self, finished: Sequence[str]) -> None:
        if not finished and not self._missed_announcements:
            return
        try:
            self.inspector.announce(finished, reread_all=self._missed_announcements)
            self._missed_announcements = False
        except BrokerUnavailableError:
            self._missed_announcements = True
            raise

    def _apply(self, batch: Batch, entries: Sequence[Entry]) -> tuple[RecorderReport, list[Folded]]:
        """Apply entries in one transaction; where one cannot be applied, halve until it stands alone."""
        try:
            report, folded = self._transaction(batch, entries)
        except _BAD_EVENT as error:
            if len(entries) == 1:
                return self._set_aside(batch, entries[0], f"{type(error).__name__}: {error}")
            middle = len(entries) // 2
            first, folded_first = self._apply(batch, entries[:middle])
            second, folded_second = self._apply(batch, entries[middle:])
            return _sum(first, second), folded_first + folded_second
        return report, [folded]

    def _transaction(self, batch: Batch, entries: Sequence[Entry]) -> tuple[RecorderReport, Folded]:
        events = [parse(entry, now_ms=batch.now_ms) for entry in entries]
        with self.ledger.transaction(TRANSACTION_SECONDS) as conn:
            leadership.assert_term(conn, self.term)
            position = recording.read_position(conn)
            done = stream_order(position.last_id) if position and position.stream == batch.stream else (0, 0)
            fresh = [event for event in events if stream_order(event.entry_id) > done]
            folded = self._write_events(conn, fresh)
            folded.ended = [
                (str(event.task_id), event.delivery) for event in events if event.type in OUTCOMES
            ]
            if fresh:
                recording.write_position(conn, batch.stream, entries[-1].id)
        report = RecorderReport(
            read=len(entries),
            applied=len(fresh) - folded.ignored,
            ignored=folded.ignored + len(events) - len(fresh),
            finished=len(folded.finished),
            lag_seconds=max(event.seconds_ago for event in events),
        )
        return report, folded

    def _write_events(self, conn: Transaction, events: Sequence[Event]) -> Folded:
        task_events = [event for event in events if event.type not in AGENT_EVENTS]
        ids = sorted({event.task_id for event in task_events if event.task_id is not None})
        folded = fold(
            task_events,
            recording.lock_tasks(conn, ids) if ids else {},
            max_worker_losses=self.max_worker_losses,
            rng=self.rng,
        )
        recording.write_tasks(conn, [state for state in folded.states.values() if state.changed])
        executions.write_attempts(conn, list(folded.attempts.values()))
        executions.write_logs(conn, folded.logs)
        for event in events:
            if event.type is EventType.REGISTERED:
                catalogue.upsert_agent(conn, {**event.payload, "incarnation": event.incarnation})
                catalogue.upsert_capabilities(
                    conn, event.payload["agent_type"], event.payload["capabilities"]
                )
            elif event.type is EventType.LEFT:
                catalogue.mark_agent_left(conn, event.agent_id, event.incarnation, lost=False)
        return folded

    def _set_aside(self, batch: Batch, entry: Entry, reason: str) -> tuple[RecorderReport, list[Folded]]:
        """Keep a bad event with its reason; a bad outcome still ends its task, else it would run for ever."""
        event = unrecordable(entry, now_ms=batch.now_ms, reason=reason)
        with self.ledger.transaction(TRANSACTION_SECONDS) as conn:
            leadership.assert_term(conn, self.term)
            folded = self._write_events(conn, [event] if event else [])
            recording.reject_event(conn, entry.id, json.dumps(entry.fields), reason)
            recording.write_position(conn, batch.stream, entry.id)
        log.error("event_set_aside", entry_id=entry.id, reason=reason[:500])
        return RecorderReport(read=1, rejected=1, finished=len(folded.finished)), [folded]


def _sum(first: RecorderReport, second: RecorderReport) -> RecorderReport:
    return RecorderReport(
        read=first.read + second.read,
        applied=first.applied + second.applied,
        ignored=first.ignored + second.ignored,
        rejected=first.rejected + second.rejected,
        finished=first.finished + second.finished,
        lag_seconds=max(first.lag_seconds, second.lag_seconds),
    )
