"""One term of leadership: the recorder in its thread, the repairs and the scheduler in another."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

from orchestrator.broker.gateway import Broker
from orchestrator.broker.inspection import Inspector
from orchestrator.broker.stream import EventStream
from orchestrator.controller.epochs import Epochs
from orchestrator.controller.passes import Pass, Reports
from orchestrator.controller.progress import Barrier, Progress
from orchestrator.controller.publishing import PublishPass
from orchestrator.controller.reconciler import Reconciler
from orchestrator.controller.recorder import Recorder
from orchestrator.controller.upkeep import keep_partitions
from orchestrator.errors import LostLeadershipError, UnavailableError
from orchestrator.ledger import catalogue, leadership

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.broker.options import BrokerOptions
    from orchestrator.broker.registry import AgentView
    from orchestrator.controller.epochs import EpochReport
    from orchestrator.controller.options import ControllerOptions
    from orchestrator.controller.reconciler import RepairReport
    from orchestrator.controller.upkeep import PartitionReport
    from orchestrator.ledger.engine import Ledger

LOOK_SECONDS = 0.25
AGENTS_SECONDS = 0.5
LOST_MESSAGES_SECONDS = 1.0
WISHES_SECONDS = 1.0
FORGOTTEN_SECONDS = 15.0
EXPIRED_SECONDS = 1.0
PARTITIONS_SECONDS = 3600.0
BARRIER_SECONDS = 0.5
"""Well below what Liveness takes for a gap in its own sight."""
WATCH_SECONDS = 0.5
PUBLISH_TIMEOUT_SECONDS = 2.0
RETRY_SECONDS = 0.5

log = structlog.get_logger(__name__)


class Term:
    """What the leader does from taking office until `stop`; every write checks that the term still stands."""

    def __init__(
        self, ledger: Ledger, broker: BrokerOptions, options: ControllerOptions, *, holder: str, term: int
    ) -> None:
        self._ledger, self._holder, self._term = ledger, holder, term
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._progress = Progress()
        self._reports = Reports()
        self._inspector = Inspector(broker)
        self._stream = EventStream(broker)
        self._broker = Broker(broker, command_timeout_seconds=PUBLISH_TIMEOUT_SECONDS)
        self._epochs = Epochs(self._inspector, broker.heartbeat_timeout_seconds)
        self._recorder = Recorder(
            ledger=ledger,
            stream=self._stream,
            inspector=self._inspector,
            progress=self._progress,
            wake_publisher=self._wake,
            term=term,
            max_worker_losses=options.max_worker_losses,
        )
        self._reconciler = Reconciler(
            ledger=ledger,
            broker=self._broker,
            inspector=self._inspector,
            term=term,
            heartbeat_timeout_seconds=broker.heartbeat_timeout_seconds,
            max_worker_losses=options.max_worker_losses,
        )
        self._barrier = Barrier(self._stream, self._progress)
        self._publisher = PublishPass(
            ledger, self._broker, term, heartbeat_timeout_seconds=broker.heartbeat_timeout_seconds
        )
        self._forgotten = Pass("forgotten_keys", FORGOTTEN_SECONDS, self._reconciler.forgotten_keys)
        self._agents: list[AgentView] = []
        self._offline: frozenset[str] = frozenset()
        self._settled = False
        self._threads = [
            threading.Thread(target=self._guarded, args=(loop,), name=f"orchestrator-{name}", daemon=True)
            for loop, name in ((self._record, "recorder"), (self._reconcile, "reconciler"))
        ]

    @property
    def over(self) -> bool:
        """Whether a pass found that somebody else leads."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Take office."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """Leave office and wait, within the bound, for passes that are under way."""
        self._stopping.set()
        self._wake.set()
        until = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        for part in (self._inspector, self._stream, self._broker):
            part.close()

    def _guarded(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except LostLeadershipError as error:
            log.warning("leadership_lost", term=self._term, error=str(error))
        finally:
            self._stopping.set()

    def _record(self) -> None:
        recorder = Pass("recorder", 0.0, self._recorder.run_once)
        while not self._stopping.is_set():
            if not self._reports.run(recorder, now=time.monotonic()):
                self._stopping.wait(RETRY_SECONDS)

    def _reconcile(self) -> None:
        settle = Pass("epoch", 0.0, self._settle)
        repairs = [
            Pass("lost_agents", AGENTS_SECONDS, self._lost_agents),
            Pass("cancel_wishes", WISHES_SECONDS, self._reconciler.cancel_wishes),
            Pass("expired", EXPIRED_SECONDS, self._reconciler.expired),
            Pass("lost_messages", LOST_MESSAGES_SECONDS, self._reconciler.lost_messages),
            self._forgotten,
            Pass("partitions", PARTITIONS_SECONDS, self._partitions),
        ]
        watch = Pass("heartbeats", WATCH_SECONDS, self._watch)
        publish = Pass("publish", 0.0, self._publisher.run_once)
        while not self._stopping.is_set():
            self._wake.clear()
            now = time.monotonic()
            if self._reports.run(settle, now=now) and self._settled and self._caught_up():
                for one in repairs:
                    self._reports.run(one, now=now)
                    self._reports.run(watch, now=time.monotonic())
                if self._reconciler.looks_at_more:
                    self._forgotten.due_at = 0.0
                self._reports.run(publish, now=now)
            self._leave_report()
            self._wake.wait(LOOK_SECONDS)

    def _settle(self) -> EpochReport:
        self._settled = False
        self._watch()
        report = self._epochs.settle(self._agents, self._live_agents, now=time.monotonic())
        if report.new_epoch:
            self._reconciler.restart()
            self._forgotten.due_at = 0.0
            self._broker.probe()
        if report.new_epoch or not report.settled:
            self._barrier.restart()
        self._settled = report.settled
        return report

    def _watch(self) -> None:
        """Look at the heartbeats, between long passes too: each gap begins the count of a silence anew."""
        self._agents = self._inspector.agents()
        self._offline = self._reconciler.liveness.look(self._agents, now=time.monotonic())

    def _live_agents(self) -> list[str]:
        with self._ledger.transaction() as conn:
            leadership.assert_term(conn, self._term)
            return [agent.agent_id for agent in catalogue.live_agents(conn)]

    def _caught_up(self) -> bool:
        """Whether the recorder is past where the stream ended when this was first asked."""
        try:
            return self._barrier.passed(timeout_seconds=BARRIER_SECONDS)
        except UnavailableError:
            return False

    def _lost_agents(self) -> RepairReport:
        return self._reconciler.lost_agents(self._agents, self._offline)

    def _partitions(self) -> PartitionReport:
        return keep_partitions(self._ledger, term=self._term)

    def _leave_report(self) -> None:
        recorder = self._reports.last.get("recorder", {}).get("report", {})
        try:
            self._inspector.write_report(
                {
                    "holder": self._holder,
                    "term": self._term,
                    "passes": dict(self._reports.last),
                    "lag_seconds": recorder.get("lag_seconds", 0.0),
                    "backlog": self._inspector.backlog(),
                }
            )
        except UnavailableError as error:
            log.debug("report_not_written", error=str(error))
