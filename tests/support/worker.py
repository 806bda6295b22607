"""Real worker processes, and a stage on which a test plays API and controller to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from orchestrator.broker import keys
from orchestrator.broker.gateway import Broker
from orchestrator.broker.inspection import Inspector
from orchestrator.tasks.ids import new_task_id
from orchestrator.tasks.state import Publishable
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    import signal

    from tests.support.redis import RedisServer

ROOT = Path(__file__).parents[2]
START_SECONDS = 30.0
STOP_SECONDS = 20.0
ENDS = frozenset({"completed", "failed", "timeout", "lost", "cancelled"})
COMMAND = "from orchestrator.worker.command import worker; worker()"


@dataclass
class Worker:
    """One worker process with its pool, in a session of its own."""

    name: str
    process: subprocess.Popen[bytes]
    log_path: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def children(self) -> list[psutil.Process]:
        """The pool's processes."""
        return psutil.Process(self.pid).children()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """Let it die without a word, its pool with it."""
        everyone = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
        self.process.kill()
        self.process.wait(STOP_SECONDS)
        psutil.wait_procs(everyone, STOP_SECONDS)

    def wait(self, within: float = STOP_SECONDS) -> int:
        """Return its exit code once it has ended."""
        return self.process.wait(within)

    def end(self) -> None:
        """Leave nothing of it behind, whatever became of it."""
        try:
            everyone = psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            everyone = []
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_SECONDS)
        for child in everyone:
            if child.is_running():
                child.kill()


@dataclass
class Stage:
    """A Redis with a blessed epoch, the broker to publish through, and the workers of a test."""

    server: RedisServer
    folder: Path
    timeout_seconds: float = 3.0
    grace_seconds: float = 1.0
    broker: Broker = field(init=False)
    inspector: Inspector = field(init=False)
    client: Any = field(init=False)
    workers: list[Worker] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        options = self.server.options(
            heartbeat_timeout_seconds=self.timeout_seconds, hard_limit_grace_seconds=self.grace_seconds
        )
        self.broker, self.inspector, self.client = Broker(options), Inspector(options), self.server.client()
        self.server.bless()

    def start_worker(
        self,
        name: str = "probe-1",
        *,
        concurrency: int = 1,
        target: str = "tests.support.probe:agent",
        wait: bool = True,
        **environ: str,
    ) -> Worker:
        """Start a worker and wait until it is registered."""
        command = [sys.executable, "-c", COMMAND, target, "--name", name, "--concurrency", str(concurrency)]
        return self.start_command(command, name, wait=wait, **environ)

    def start_command(
        self, command: list[str], name: str, *, wait: bool = True, cwd: Path | None = None, **environ: str
    ) -> Worker:
        """Start any command that becomes the worker of this name."""
        log_path = self.folder / f"{name}-{uuid.uuid4().hex[:8]}.log"
        scratch = Path(tempfile.mkdtemp(dir=self.folder))
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=cwd or scratch,
                start_new_session=True,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "REDIS_URL": self.server.url,
                    "HEARTBEAT_TIMEOUT": f"{self.timeout_seconds:g}",
                    "ORCHESTRATOR_HARD_LIMIT_GRACE": f"{self.grace_seconds:g}",
                    "TMPDIR": str(scratch),
                    **environ,
                },
            )
        worker = Worker(name, process, log_path)
        self.workers.append(worker)
        if wait:
            self.wait_registered(worker)
        return worker

    def wait_registered(self, worker: Worker) -> None:
        """Wait until the registry has this very process."""

        def registered() -> bool:
            if worker.process.poll() is not None:
                raise AssertionError(
                    f"the worker ended with {worker.process.returncode}:\n{worker.log[-4000:]}"
                )
            return (self.record(worker.name) or {}).get("pid") == worker.pid

        wait_for(registered, within=START_SECONDS, what=f"the registration of {worker.name}")

    def record(self, name: str) -> dict[str, Any] | None:
        """What the agent of this name registered."""
        text = self.client.hget(keys.agent_key(name), "record")
        return json.loads(text) if text else None

    def submit(self, task_type: str, parameters: Any = None, **changes: Any) -> Publishable:
        """Publish a new task, as an API process does after its commit."""
        item = publishable(task_type=task_type, parameters_json=json.dumps(parameters or {}), **changes)
        answers = self.broker.publish([item])
        assert answers == ["QUEUED"], answers
        return item

    def events(self, item: Publishable | None = None) -> list[dict[str, Any]]:
        """Every event so far, or those of one task; `p` is decoded."""
        entries = self.client.xrange(keys.EVENTS)
        events = [{**fields, "p": json.loads(fields["p"] or "{}")} for _, fields in entries]
        return [event for event in events if item is None or event["id"] == str(item.id)]

    def kinds(self, item: Publishable) -> list[str]:
        """The types of a task's events, in order."""
        return [event["e"] for event in self.events(item)]

    def wait_event(self, item: Publishable, *kinds: str, within: float = 15.0) -> dict[str, Any]:
        """Wait for an event of one of these types and return it."""

        def found() -> dict[str, Any] | None:
            return next((event for event in self.events(item) if event["e"] in kinds), None)

        try:
            event = wait_for(found, within=within, what=f"an event of {kinds}")
        except AssertionError as error:
            logs = "\n".join(worker.log[-3000:] for worker in self.workers)
            raise AssertionError(f"{error}; there are {self.kinds(item)}\n{logs}") from error
        assert event is not None
        return event

    def wait_end(self, item: Publishable, *, within: float = 15.0) -> dict[str, Any]:
        """Wait for the task's outcome."""
        return self.wait_event(item, *ENDS, within=within)

    def clear(self) -> None:
        """Forget tasks and events; agents and epoch stay."""
        names = [
            name for pattern in ("orch:task:*", "orch:waiting:*") for name in self.client.scan_iter(pattern)
        ]
        self.client.delete(keys.EVENTS, *names)

    def close(self) -> None:
        """End every worker and connection."""
        for worker in self.workers:
            worker.end()
        self.broker.close()
        self.inspector.close()
        self.client.close()


def publishable(**changes: Any) -> Publishable:
    """A row of the agent `probe` that is due."""
    base = Publishable(
        id=new_task_id(),
        tenant="default",
        agent_type="probe",
        task_type="echo",
        pinned_agent_id=None,
        pin=None,
        parameters_json="{}",
        priority=5,
        timeout_seconds=20,
        max_retries=3,
        retry_count=0,
        attempt=0,
        delivery=1,
        series=1,
        log_lines=0,
        metadata={},
        request_id=None,
    )
    return replace(base, **changes)


def is_running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
