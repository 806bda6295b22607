"""How events change a task: pure code, one small function per event.

Events are applied in the order of the stream to the row as it is locked. What is older than the row's
delivery, or would lead backwards, changes nothing; the first outcome wins.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, assert_never

from orchestrator.context import MAX_LOG_LINES
from orchestrator.controller.events import EventType
from orchestrator.tasks.retry import GiveUp, RetryAfter, RetryPolicy, decide_retry
from orchestrator.tasks.state import AttemptState, LogLine
from orchestrator.tasks.status import TERMINAL, Status, can_move

if TYPE_CHECKING:
    import random
    import uuid
    from collections.abc import Iterable

    from orchestrator.controller.events import Event
    from orchestrator.tasks.state import TaskState

MAX_SHARED_LOSSES = 10
"""Deaths of agents with several tasks in hand that one task survives: which task did it is not known."""
POISON = "poison"


@dataclass
class Folded:
    """What a batch comes to."""

    states: dict[uuid.UUID, TaskState]
    attempts: dict[tuple[uuid.UUID, str], AttemptState] = field(default_factory=dict)
    logs: list[LogLine] = field(default_factory=list)
    ended: list[tuple[str, int]] = field(default_factory=list)
    """(task id, delivery) whose run or wait is over in Redis: its key may expire."""
    finished: list[str] = field(default_factory=list)
    """Tasks that have ended for good in this batch."""
    unwanted: list[tuple[str, int]] = field(default_factory=list)
    """(task id, delivery) that began although the task has ended: Redis came back older than the ledger."""
    due_now: bool = False
    """Some task waits to be published at once."""
    ignored: int = 0


def fold(
    events: Iterable[Event], states: dict[uuid.UUID, TaskState], *, max_worker_losses: int, rng: random.Random
) -> Folded:
    """Apply a batch of task events to the rows that it names; those of unknown tasks count as ignored."""
    folder = _Folder(Folded(states), max_worker_losses, rng)
    for event in events:
        folder.apply(event)
    return folder.result


@dataclass
class _Folder:
    result: Folded
    max_worker_losses: int
    rng: random.Random

    def apply(self, event: Event) -> None:
        state = self.result.states.get(event.task_id) if event.task_id else None
        if state is None:
            self.result.ignored += 1
            return
        if event.delivery > state.delivery and state.status not in TERMINAL:
            state.delivery, state.changed = event.delivery, True
        if self._is_end(event):
            self.result.ended.append((str(state.id), event.delivery))
        if event.type is EventType.RUNNING and state.status in TERMINAL:
            self.result.unwanted.append((str(state.id), event.delivery))
        if event.delivery != state.delivery or state.status in TERMINAL:
            self.result.ignored += 1
            return
        self._dispatch(event, state)
        if state.status in TERMINAL:
            self.result.finished.append(str(state.id))

    @staticmethod
    def _is_end(event: Event) -> bool:
        ends = (EventType.COMPLETED, EventType.FAILED, EventType.TIMEOUT, EventType.LOST, EventType.CANCELLED)
        return event.type in ends

    def _dispatch(self, event: Event, state: TaskState) -> None:
        match event.type:
            case EventType.QUEUED:
                self._queued(event, state)
            case EventType.RUNNING:
                self._running(event, state)
            case EventType.COMPLETED:
                self._completed(event, state)
            case EventType.FAILED | EventType.TIMEOUT:
                self._failed(event, state)
            case EventType.LOST:
                self._lost(event, state)
            case EventType.CANCELLED:
                self._cancelled(event, state)
            case EventType.PROGRESS:
                self._progress(event, state)
            case EventType.LOG:
                self._log(event, state)
            case EventType.REGISTERED | EventType.LEFT:
                self.result.ignored += 1
            case _:
                assert_never(event.type)

    def _queued(self, event: Event, state: TaskState) -> None:
        if can_move(state.status, Status.QUEUED):
            self._move(state, Status.QUEUED)
            state.queued_seconds_ago = event.seconds_ago

    def _running(self, event: Event, state: TaskState) -> None:
        if state.token == event.token:
            return
        state.attempt += 1
        state.token, state.agent_id, state.incarnation = event.token, event.agent_id, event.incarnation
        state.started_seconds_ago = event.seconds_ago
        state.changed = True
        if state.status is not Status.RUNNING:
            self._move(state, Status.RUNNING)
        self._attempt(event, state).started_seconds_ago = event.seconds_ago

    def _completed(self, event: Event, state: TaskState) -> None:
        self._ensure_started(event, state)
        self._end_attempt(event, state, "completed")
        self._end(event, state, Status.COMPLETED)
        state.result_json = json.dumps(event.payload.get("result"), allow_nan=False)

    def _failed(self, event: Event, state: TaskState) -> None:
        self._ensure_started(event, state)
        self._end_attempt(event, state, event.type.value)
        state.error = str(event.payload.get("error", ""))
        state.error_code = _text(event.payload.get("code"))
        state.error_type = _text(event.payload.get("error_type"))
        if state.cancel_requested:
            self._end(event, state, Status.CANCELLED)
            return
        decision = decide_retry(
            RetryPolicy(state.max_retries, state.retry_delay_seconds),
            state.retry_count,
            retryable=bool(event.payload.get("retryable")),
            asked_seconds=event.payload.get("retry_after"),
            rng=self.rng,
        )
        match decision:
            case GiveUp():
                self._end(event, state, Status.TIMEOUT if event.type is EventType.TIMEOUT else Status.FAILED)
            case RetryAfter(seconds):
                self._move(state, Status.RETRYING)
                state.retry_count += 1
                self._next_delivery(state, in_seconds=seconds)

    def _lost(self, event: Event, state: TaskState) -> None:
        self._end_attempt(event, state, "lost")
        counts = event.payload.get("reason") == "child_died" and event.token == state.token
        state.worker_losses += int(counts)
        if state.cancel_requested:
            self._end(event, state, Status.CANCELLED)
        elif counts and state.worker_losses >= self.max_worker_losses:
            poison(state, losses=state.worker_losses)
            state.completed_seconds_ago = event.seconds_ago
        else:
            self._again(state)

    def _cancelled(self, event: Event, state: TaskState) -> None:
        if event.token:
            self._end_attempt(event, state, "cancelled")
        if state.cancel_requested:
            self._end(event, state, Status.CANCELLED)
        else:
            self._again(state)

    def _again(self, state: TaskState) -> None:
        if state.status is not Status.PENDING:
            self._move(state, Status.PENDING)
        self._next_delivery(state, in_seconds=0.0)

    def _progress(self, event: Event, state: TaskState) -> None:
        if event.token == state.token:
            _note_progress(state, event.payload)

    def _log(self, event: Event, state: TaskState) -> None:
        self._add_lines(state, event.token, event.payload.get("lines", []))

    def _next_delivery(self, state: TaskState, *, in_seconds: float) -> None:
        state.delivery += 1
        state.token = None
        state.publish_in_seconds = in_seconds
        self.result.due_now = self.result.due_now or in_seconds <= 0

    def _move(self, state: TaskState, status: Status) -> None:
        if not can_move(state.status, status):
            raise AssertionError(f"{state.status} → {status} is not in the transition table")
        state.status, state.changed = status, True

    def _end(self, event: Event, state: TaskState, status: Status) -> None:
        self._move(state, status)
        state.completed_seconds_ago = event.seconds_ago
        if status is Status.COMPLETED:
            state.error = state.error_code = state.error_type = None
            state.progress_fraction = 1.0
        if status is Status.CANCELLED:
            state.error, state.error_code, state.error_type = "cancelled on request", "cancelled", None

    def _ensure_started(self, event: Event, state: TaskState) -> None:
        if event.token != state.token:
            self._running(event, state)
            ran_seconds = float(event.payload.get("ms", 0.0)) / 1000
            state.started_seconds_ago = event.seconds_ago + ran_seconds
            self._attempt(event, state).started_seconds_ago = state.started_seconds_ago

    def _attempt(self, event: Event, state: TaskState) -> AttemptState:
        key = (state.id, event.token)
        if key not in self.result.attempts:
            self.result.attempts[key] = AttemptState(
                task_id=state.id,
                token=event.token,
                delivery=event.delivery,
                series=state.series,
                number=state.attempt,
                agent_id=event.agent_id,
                incarnation=event.incarnation,
            )
        return self.result.attempts[key]

    def _end_attempt(self, event: Event, state: TaskState, outcome: str) -> None:
        attempt, payload = self._attempt(event, state), event.payload
        attempt.ended_seconds_ago = event.seconds_ago
        attempt.outcome = outcome
        attempt.execution_time_ms = payload.get("ms")
        attempt.error = _text(payload.get("error"))
        attempt.error_type = _text(payload.get("error_type"))
        attempt.error_code = _text(payload.get("code") or payload.get("reason"))
        attempt.traceback = _text(payload.get("traceback"))
        self._add_lines(state, event.token, payload.get("lines", []))
        if dropped := int(payload.get("dropped_log_lines", 0)):
            line = f"{dropped:,} more lines were dropped: a task keeps {MAX_LOG_LINES:,}"
            self.result.logs.append(LogLine(state.id, event.token, int(payload["dropped_at"]), line))
        if unsent := payload.get("progress"):
            _note_progress(state, unsent)

    def _add_lines(self, state: TaskState, token: str, lines: list[dict[str, Any]]) -> None:
        room = max(0, MAX_LOG_LINES - state.log_lines)
        for line in lines[:room]:
            self.result.logs.append(LogLine(state.id, token, int(line["t"]), str(line["m"])))
        if lines[:room]:
            state.log_lines += len(lines[:room])
            state.changed = True


def poison(state: TaskState, *, losses: int) -> None:
    """End a task that keeps killing its agents."""
    if not can_move(state.status, Status.FAILED):
        raise AssertionError(f"{state.status} → failed is not in the transition table")
    state.status, state.changed = Status.FAILED, True
    state.error_code, state.error_type = POISON, None
    state.error = (
        f"the task was running when its process died, {losses} times; it is not given to another agent"
    )


def _note_progress(state: TaskState, progress: dict[str, Any]) -> None:
    state.progress_fraction = float(progress["fraction"])
    state.progress_message = str(progress["message"])
    state.changed = True


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
