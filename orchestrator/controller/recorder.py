"""The recorder: events of the stream become rows of the ledger, in batches, each exactly once."""

from __future__ import annotations

import json
import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from orchestrator.broker.stream import stream_order
from orchestrator.controller.events import AGENT_EVENTS, OUTCOMES, BadEventError, Event, EventType, parse
from orchestrator.controller.fold import fold
from orchestrator.errors import BrokerUnavailableError, LedgerDataError
from orchestrator.ledger import catalogue, executions, leadership, recording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.broker.inspection import Inspector
    from orchestrator.broker.stream import Batch, Entry, EventStream
    from orchestrator.controller.fold import Folded
    from orchestrator.ledger.engine import Ledger, Transaction

BLOCK_SECONDS = 0.5
TRANSACTION_SECONDS = 10.0
UNRECORDABLE = "unrecordable_result"

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


class Progress:
    """How far the recorder has come, for those who may decide only on what it has caught up with."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._recorded = (0, 0)

    def reached(self, entry_id: str) -> None:
        """Everything up to this entry is in the ledger."""
        with self._condition:
            self._recorded = max(self._recorded, stream_order(entry_id))
            self._condition.notify_all()

    def restart(self) -> None:
        """Begin anew with a new stream, whose ids may be smaller than before."""
        with self._condition:
            self._recorded = (0, 0)

    def wait_for(self, entry_id: str, *, timeout_seconds: float) -> bool:
        """Wait until the recorder is past this entry; False if it is not in time."""
        target = stream_order(entry_id)
        with self._condition:
            return self._condition.wait_for(lambda: self._recorded >= target, timeout_seconds)


@dataclass
class Barrier:
    """Repairs decide only on rows read after the recorder has passed where the stream ended before.

    The end that was noted stays until it is passed: under a load that keeps the recorder behind, a newer one
    would always be out of reach, and nothing would ever be repaired or published.
    """

    stream: EventStream
    progress: Progress
    _end: str | None = None

    def passed(self, *, timeout_seconds: float) -> bool:
        """Wait until the recorder is past the end; False if it is not in time.

        Raises BrokerUnavailableError.
        """
        self._end = self._end or self.stream.tail()
        if self._end is None or self.progress.wait_for(self._end, timeout_seconds=timeout_seconds):
            self._end = None
            return True
        log.info("repairs_wait_for_recorder", end=self._end)
        return False

    def restart(self) -> None:
        """Forget the end: the stream may have begun anew."""
        self._end = None


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
        return report

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
        except (LedgerDataError, ValueError, TypeError, LookupError, AttributeError) as error:
            if len(entries) == 1:
                return self._set_aside(batch, entries[0], f"{type(error).__name__}: {error}")
            middle = len(entries) // 2
            first, folded_first = self._apply(batch, entries[:middle])
            second, folded_second = self._apply(batch, entries[middle:])
            return _sum(first, second), folded_first + folded_second
        return report, [folded]

    def _transaction(self, batch: Batch, entries: Sequence[Entry]) -> tuple[RecorderReport, Folded]:
        events, rejected = _parse_all(batch, entries)
        with self.ledger.transaction(TRANSACTION_SECONDS) as conn:
            leadership.assert_term(conn, self.term)
            position = recording.read_position(conn)
            done = stream_order(position.last_id) if position and position.stream == batch.stream else (0, 0)
            fresh = [event for event in events if stream_order(event.entry_id) > done]
            folded = self._write_events(conn, fresh)
            folded.ended = [
                (str(event.task_id), event.delivery) for event in events if event.type in OUTCOMES
            ]
            for entry, reason in rejected:
                if stream_order(entry.id) > done:
                    recording.reject_event(conn, entry.id, json.dumps(entry.fields), reason)
            if stream_order(entries[-1].id) > done:
                recording.write_position(conn, batch.stream, entries[-1].id)
        if rejected:
            log.error("events_set_aside", count=len(rejected), reason=rejected[0][1])
        lag = max((event.seconds_ago for event in events), default=0.0)
        finished, skipped = len(folded.finished), len(events) - len(fresh)
        return (
            RecorderReport(
                len(entries),
                len(fresh) - folded.ignored,
                folded.ignored + skipped,
                len(rejected),
                finished,
                lag,
            ),
            folded,
        )

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
        event = _as_unrecordable(batch, entry, reason)
        with self.ledger.transaction(TRANSACTION_SECONDS) as conn:
            leadership.assert_term(conn, self.term)
            folded = self._write_events(conn, [event] if event else [])
            recording.reject_event(conn, entry.id, json.dumps(entry.fields), reason)
            recording.write_position(conn, batch.stream, entry.id)
        log.error("event_set_aside", entry_id=entry.id, reason=reason[:500])
        return RecorderReport(read=1, rejected=1, finished=len(folded.finished)), [folded]


def _parse_all(batch: Batch, entries: Sequence[Entry]) -> tuple[list[Event], list[tuple[Entry, str]]]:
    events, rejected = [], []
    for entry in entries:
        try:
            events.append(parse(entry, now_ms=batch.now_ms))
        except BadEventError as error:
            rejected.append((entry, str(error)))
    return events, rejected


def _as_unrecordable(batch: Batch, entry: Entry, reason: str) -> Event | None:
    event = parse(entry, now_ms=batch.now_ms)
    if event.type not in OUTCOMES:
        return None
    payload = {
        "error": f"the outcome cannot be stored: {reason}"[:2000],
        "code": UNRECORDABLE,
        "retryable": False,
    }
    return Event(
        entry_id=event.entry_id,
        type=EventType.FAILED,
        task_id=event.task_id,
        delivery=event.delivery,
        token=event.token,
        agent_id=event.agent_id,
        incarnation=event.incarnation,
        seconds_ago=event.seconds_ago,
        payload=payload,
    )


def _sum(first: RecorderReport, second: RecorderReport) -> RecorderReport:
    return RecorderReport(
        read=first.read + second.read,
        applied=first.applied + second.applied,
        ignored=first.ignored + second.ignored,
        rejected=first.rejected + second.rejected,
        finished=first.finished + second.finished,
        lag_seconds=max(first.lag_seconds, second.lag_seconds),
    )
