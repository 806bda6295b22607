"""An agent in its Celery worker: from the fork of its pool to its leaving."""

from __future__ import annotations

import os
import signal
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from celery import bootsteps, signals
from celery.exceptions import WorkerShutdown
from kombu import Queue

from orchestrator.errors import AgentNameTakenError, BrokerUnavailableError
from orchestrator.tasks.ids import parse_celery_id
from orchestrator.tasks.routing import capability_queue, private_queue
from orchestrator.worker.execution import Executor
from orchestrator.worker.heartbeat import Heartbeat
from orchestrator.worker.link import AgentLink
from orchestrator.worker.naming import Identity, agent_id_of, take_name
from orchestrator.worker.request import request_class
from orchestrator.worker.slots import SlotTable

if TYPE_CHECKING:
    from celery import Celery

    from orchestrator.agent import Agent
    from orchestrator.broker.options import BrokerOptions
    from orchestrator.worker.options import AgentOptions

FINISH_SECONDS = 5.0
"""How long a stopping agent tries to send outcomes that Redis has not taken yet."""
EXIT_NAME_TAKEN = 3
TICK_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Lifecycle:
    """The parts of one agent process, built when Celery tells its name, driven by Celery's signals.

    What `prepare` makes is inherited by the pool's children through the fork.
    """

    def __init__(self, app: Celery, agent: Agent, broker: BrokerOptions, options: AgentOptions) -> None:
        self._app = app
        self._agent = agent
        self._broker = broker
        self._options = options
        self._interval = options.interval_seconds(broker.heartbeat_timeout_seconds)
        self._ticked_at = time.monotonic()
        self._main_pid = 0
        self.executor: Executor | None = None
        self.heartbeat: Heartbeat | None = None

    def connect_signals(self) -> None:
        """Follow Celery's signals; they keep only weak references, the app's tasks keep this object."""
        signals.celeryd_init.connect(self._name_queues)
        signals.worker_process_init.connect(self._enter_child)
        signals.worker_ready.connect(self._ready)
        signals.worker_shutting_down.connect(self._drain)
        signals.worker_shutdown.connect(self._leave)
        signals.task_unknown.connect(self._unknown)
        signals.task_rejected.connect(self._unreadable)
        self._app.steps["worker"].add(_prepare_step(self))

    def _name_queues(self, sender: str, conf: Any, **_: Any) -> None:
        names = [capability_queue(self._agent.agent_type, name) for name in self._agent.task_types]
        own = private_queue(agent_id_of(sender, self._agent.agent_type))
        conf.task_queues = [Queue(name) for name in (*names, own)]

    def prepare(self, worker: Any) -> None:
        """Build what the pool's children inherit; called before they are forked."""
        if worker.pool_cls.__module__ != "celery.concurrency.prefork":
            raise SystemExit(
                "an agent needs Celery's prefork pool, which alone has time limits: start it without -P"
            )
        agent_id = agent_id_of(worker.hostname, self._agent.agent_type)
        self._main_pid = os.getpid()
        self._children = int(worker.concurrency)
        self._link = AgentLink(self._broker, agent_id=agent_id, incarnation=uuid.uuid4().hex)
        table = SlotTable(self._children)
        self.executor = Executor(
            link=self._link,
            table=table,
            hard_limit_grace_seconds=self._broker.hard_limit_grace_seconds,
            result_limit_bytes=self._options.result_limit_bytes,
        )
        self.heartbeat = Heartbeat(
            self._link,
            table,
            interval_seconds=self._interval,
            timeout_seconds=self._broker.heartbeat_timeout_seconds,
            load=self._load,
            on_replaced=lambda: os.kill(self._main_pid, signal.SIGTERM),
        )
        request = request_class(self.heartbeat)
        for name in self._agent.task_types:
            task: Any = self._app.tasks[capability_queue(self._agent.agent_type, name)]
            task.Request = request

    def _enter_child(self, **_: Any) -> None:
        if self.executor is not None and os.getpid() != self._main_pid:
            self.executor.enter_child()

    def _ready(self, sender: Any, **_: Any) -> None:
        if self.heartbeat is None:
            return
        record = self._record()
        try:
            take_name(self._link, record, heartbeat_timeout_seconds=self._broker.heartbeat_timeout_seconds)
        except AgentNameTakenError as error:
            log.critical("agent_name_taken", error=str(error))
            raise WorkerShutdown(EXIT_NAME_TAKEN) from error
        except BrokerUnavailableError as error:
            log.warning("not_registered_yet", error=str(error))
        sender.timer.call_repeatedly(TICK_SECONDS, self._tick)
        self.heartbeat.start(record)
        log.info("agent_registered", agent_id=self._link.agent_id, task_types=sorted(self._agent.task_types))

    def _drain(self, **_: Any) -> None:
        if self.heartbeat is not None:
            self.heartbeat.say("draining")

    def _leave(self, **_: Any) -> None:
        if self.heartbeat is not None and os.getpid() == self._main_pid:
            self.heartbeat.finish(FINISH_SECONDS)

    def _unknown(self, name: str, id: str, exc: Exception, **_: Any) -> None:  # noqa: A002 - Celery's name
        self._fail(id, "unknown_task_type", f"this agent has no task type {str(name)[:300]!r}: {exc}")

    def _unreadable(self, message: Any, exc: Exception | None = None, **_: Any) -> None:
        headers = message.headers if isinstance(message.headers, dict) else {}
        self._fail(str(headers.get("id", "")), "unreadable_message", f"the message cannot be read: {exc}")

    def _fail(self, celery_id: str, code: str, error: str) -> None:
        parsed = parse_celery_id(str(celery_id))
        if parsed is None or self.heartbeat is None:
            log.error("stray_message", code=code, error=error[:500], celery_id=str(celery_id)[:200])
            return
        self.heartbeat.fail_stray(*parsed, code, error)

    def _tick(self) -> None:
        self._ticked_at = time.monotonic()

    def _load(self) -> dict[str, Any]:
        return {
            "loop_age_seconds": round(time.monotonic() - self._ticked_at, 1),
            "load_average": round(os.getloadavg()[0], 2),
        }

    def _record(self) -> dict[str, Any]:
        me = Identity.mine()
        return {
            "agent_id": self._link.agent_id,
            "agent_name": self._link.agent_id,
            "agent_type": self._agent.agent_type,
            "kind": "celery",
            "host": me.host,
            "port": None,
            "pid": me.pid,
            "process_started_at": me.started_at,
            "version": self._agent.version,
            "slots": self._children,
            "capabilities": [declared.describe() for declared in self._agent.task_types.values()],
            "metadata": self._agent.metadata,
            "heartbeat_interval_seconds": self._interval,
            "registered_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }


def _prepare_step(lifecycle: Lifecycle) -> type[bootsteps.Step]:
    class PrepareAgent(bootsteps.Step):
        """Runs when pool class and concurrency are known and no child is forked yet."""

        def __init__(self, worker: Any, **kwargs: Any) -> None:
            super().__init__(worker, **kwargs)
            lifecycle.prepare(worker)

    return PrepareAgent
