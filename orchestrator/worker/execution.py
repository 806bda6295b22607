"""One delivery in a pool child: claim it, run its handler, report what became of it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from billiard import current_process
from billiard.exceptions import SoftTimeLimitExceeded
from celery.exceptions import Ignore, Retry

from orchestrator.broker.answers import Claimed, Reported
from orchestrator.broker.messages import FORMAT_VERSION
from orchestrator.context import MAX_LOG_LINES, TaskContext, clip
from orchestrator.errors import BrokerUnavailableError, PermanentError
from orchestrator.parameters import load_parameters
from orchestrator.tasks.ids import new_token, parse_celery_id
from orchestrator.worker.clock import boottime
from orchestrator.worker.link import Run
from orchestrator.worker.outcome import completed, failed, timed_out, unreadable
from orchestrator.worker.reporter import RunReporter
from orchestrator.worker.slots import Doom, SlotState
from orchestrator.worker.soft_limit import SoftLimit
from orchestrator.worker.watchdog import Watchdog, become_group_leader, kill_own_group

if TYPE_CHECKING:
    from orchestrator.agent import TaskType
    from orchestrator.worker.link import AgentLink
    from orchestrator.worker.outcome import Outcome
    from orchestrator.worker.slots import SlotTable

CLAIM_PAUSE_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Pauses between askings while Redis is away or cannot grant; the last repeats until a limit strikes."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the message says beside the parameters."""

    attempt: int
    retries: int
    max_retries: int
    timeout_seconds: float
    log_lines: int
    metadata: dict[str, Any]
    request_id: str | None
    parameters: dict[str, Any]
    defect: str = ""
    """Why the message cannot be read, where it cannot."""

    @classmethod
    def read(cls, message: dict[str, Any], declared: TaskType) -> Envelope:
        """Read what format 1 says; later formats may add fields. What cannot be read names its defect."""
        try:
            fields, parameters = message["envelope"], message["parameters"]
            _require_format(int(fields["v"]))
            return cls(
                attempt=int(fields["attempt"]),
                retries=int(fields["retries"]),
                max_retries=int(fields["max_retries"]),
                timeout_seconds=float(fields["timeout_seconds"]),
                log_lines=int(fields["log_lines"]),
                metadata=dict(fields["metadata"]),
                request_id=fields.get("request_id"),
                parameters=dict(parameters),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            defect = f"the message cannot be read: {type(error).__name__}: {error}"
            return cls(0, 0, 0, declared.timeout_seconds, 0, {}, None, {}, defect)


@dataclass
class Executor:
    """Runs deliveries in whichever pool child it finds itself; made in the main process before the fork."""

    link: AgentLink
    table: SlotTable
    hard_limit_grace_seconds: float
    result_limit_bytes: int
    _watchdog: Watchdog | None = None
    _limit: SoftLimit = field(default_factory=SoftLimit)
    _pause: threading.Event = field(default_factory=threading.Event)

    def enter_child(self) -> None:
        """Prepare a pool child that has just been forked."""
        become_group_leader()
        self.link = self.link.after_fork()
        self._watchdog = Watchdog(self.table)

    def run(self, declared: TaskType, celery_id: str, message: dict[str, Any]) -> None:
        """Run one delivery to its reported end; `message` are the keyword arguments of the Celery message.

        Raises what Celery should show: Ignore for a refused claim, Retry, or the handler's own exception.
        """
        parsed = parse_celery_id(celery_id)
        if parsed is None:
            log.error("delivery_without_task", celery_id=celery_id[:200])
            raise Ignore
        run = Run(*parsed, new_token())
        envelope = Envelope.read(message, declared)
        index = self._begin(run, declared, envelope.timeout_seconds)
        self._limit.open()
        try:
            self._claim(run, index, exclusive=declared.exclusive)
            outcome = self._handle(declared, run, index, envelope)
        except SoftTimeLimitExceeded:
            if self.table.read(index).state is not SlotState.HELD:
                self.table.free(index)
                log.warning("claim_not_answered_in_time", task_id=run.task_id, delivery=run.delivery)
                raise Ignore from None
            outcome = timed_out(envelope.timeout_seconds, hard=False)
            self._report(run, index, outcome.kind, json.dumps(outcome.payload))
        except SystemExit:
            self.table.doom(self.table.read(index), Doom.STOPPED)
            raise
        except BaseException:
            if self._holds(run, index):
                log.exception("run_broke_off", task_id=run.task_id, delivery=run.delivery)
                kill_own_group()
            raise
        finally:
            self._limit.close()
        _show_celery(outcome, envelope)

    def _holds(self, run: Run, index: int) -> bool:
        """Whether the run is unreported: heartbeats would list it for as long as this process lives."""
        slot = self.table.read(index)
        return slot.token == run.token and slot.state in (SlotState.CLAIMING, SlotState.HELD)

    def _begin(self, run: Run, declared: TaskType, timeout: float) -> int:
        child = int(getattr(current_process(), "index", 0))
        deadline = boottime() + timeout + self.hard_limit_grace_seconds
        while True:
            index = self.table.begin(
                child,
                pid=os.getpid(),
                task_id=run.task_id,
                delivery=run.delivery,
                token=run.token,
                exclusive=declared.exclusive,
                hard_deadline=deadline,
            )
            if index is not None:
                return index
            self._pause.wait(CLAIM_PAUSE_SECONDS[-1])

    def _claim(self, run: Run, index: int, *, exclusive: bool) -> None:
        for pause in _pauses():
            if exclusive and boottime() >= self.table.lease_until:
                self._pause.wait(pause)
                continue
            try:
                answer, why = self.link.claim(run, pid=os.getpid())
            except BrokerUnavailableError:
                answer, why = Claimed.WAIT, "broker"
            match answer:
                case Claimed.GRANTED:
                    self.table.claimed(index)
                    return
                case Claimed.REFUSED:
                    self.table.free(index)
                    log.info("claim_refused", task_id=run.task_id, delivery=run.delivery, reason=why)
                    raise Ignore
                case Claimed.WAIT:
                    self._pause.wait(pause)

    def _handle(self, declared: TaskType, run: Run, index: int, envelope: Envelope) -> Outcome:
        started = time.perf_counter()
        lines_left = max(0, MAX_LOG_LINES - envelope.log_lines)
        reporter = RunReporter(self.link, run, lines_left=lines_left)
        watchdog = self._watchdog or Watchdog(self.table)
        watchdog.watch(index, run.token, reporter, exclusive=declared.exclusive)
        try:
            outcome = self._call(declared, run, reporter, envelope)
        finally:
            self._limit.close()
            watchdog.release(exclusive=declared.exclusive)
        elapsed_ms = (time.perf_counter() - started) * 1000
        payload = {**outcome.payload, **reporter.leftover(), "ms": round(elapsed_ms, 3)}
        self._report(run, index, outcome.kind, json.dumps(payload))
        return outcome

    def _call(self, declared: TaskType, run: Run, reporter: RunReporter, envelope: Envelope) -> Outcome:
        if envelope.defect:
            return unreadable("unreadable_message", envelope.defect)
        context = TaskContext(
            task_id=run.task_id,
            attempt=envelope.attempt + 1,
            metadata=envelope.metadata,
            deadline=datetime.now(UTC) + timedelta(seconds=envelope.timeout_seconds),
            reporter=reporter,
        )
        try:
            with structlog.contextvars.bound_contextvars(task_id=run.task_id, request_id=envelope.request_id):
                value = declared.handler(context, load_parameters(declared.schema, envelope.parameters))
                return completed(value, limit_bytes=self.result_limit_bytes)
        except SoftTimeLimitExceeded:
            return timed_out(envelope.timeout_seconds, hard=False)
        except SystemExit as error:
            if _is_signal(error):
                raise
            return failed(RuntimeError(f"the handler called sys.exit({clip(error.code, 100)})"), declared)
        except Exception as error:  # noqa: BLE001 - a handler's bug ends its task, never its agent
            return failed(error, declared)
        except BaseException as error:  # noqa: BLE001 - asyncio.CancelledError, say: no signal, so a bug too
            bug = RuntimeError(f"the handler raised {type(error).__name__}: {error}")
            bug.__cause__ = error
            return failed(bug, declared)

    def _report(self, run: Run, index: int, kind: str, payload: str) -> None:
        """Report, or leave the outcome to the main process; where that cannot be, ask until it is taken."""
        while (answer := self._ask_to_report(run, kind, payload)) is Reported.WAIT:
            try:
                self.table.spool(index, f"{kind}\n{payload}".encode())
            except OSError as error:
                log.warning("outcome_not_spooled", task_id=run.task_id, error=str(error))
                self._pause.wait(CLAIM_PAUSE_SECONDS[-1])
            else:
                return
        self.table.free(index)
        if answer is Reported.REFUSED:
            log.warning("outcome_refused", task_id=run.task_id, delivery=run.delivery, outcome=kind)

    def _ask_to_report(self, run: Run, kind: str, payload: str) -> Reported:
        try:
            return self.link.report(run, kind, payload)
        except BrokerUnavailableError:
            return Reported.WAIT


def _pauses() -> Any:
    yield from CLAIM_PAUSE_SECONDS
    while True:
        yield CLAIM_PAUSE_SECONDS[-1]


def _require_format(version: int) -> None:
    if version != FORMAT_VERSION:
        raise ValueError(f"message format {version} is not known to this agent: update it")


def _is_signal(error: SystemExit) -> bool:
    """Whether billiard raised it because somebody signalled the child to end: it exits with signal - 256."""
    return isinstance(error.code, int) and -256 < error.code < -256 + signal.NSIG  # noqa: PLR2004


def _show_celery(outcome: Outcome, envelope: Envelope) -> None:
    """Let Celery, its signals and Flower see what became of the run; the ledger decides on its own count."""
    if outcome.kind == "completed":
        return
    text = str(outcome.payload["error"])
    if outcome.retryable and envelope.retries < envelope.max_retries:
        raise Retry(message=text, exc=outcome.error)
    if outcome.error is not None:
        raise outcome.error
    if outcome.kind == "timeout":
        raise SoftTimeLimitExceeded(text)
    raise PermanentError(text)
