"""The whole system in separate real processes that a test may kill, freeze and start again, one by one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from orchestrator.ledger.engine import Ledger
from orchestrator.ledger.keys import ensure_key, new_key
from tests.support.api_process import ApiProcess
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.postgres import PostgresServer
    from tests.support.redis import RedisServer

ROOT = Path(__file__).parents[2]
TERMINAL = frozenset({"completed", "failed", "timeout", "cancelled"})
STOP_SECONDS = 15.0
WORKER = "from orchestrator.worker.command import worker; worker()"


@dataclass
class Process:
    """One process of the cluster in a session of its own."""

    name: str
    command: list[str]
    environ: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start it, also again after its death."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environ,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text(errors="replace")

    def kill(self) -> None:
        """Let it die without a word."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        """Ask it to stop, and see that it is gone."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()


@dataclass
class Cluster:
    """Redis, PostgreSQL, an API process, controllers and workers."""

    redis: RedisServer
    postgres: PostgresServer
    database: str
    folder: Path
    heartbeat_timeout: float = 3.0
    settings: dict[str, str] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    _outage_began: float = 0.0

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.postgres.options(self.database), application_name="test")
        self.key = new_key()
        with self.ledger.transaction() as conn:
            ensure_key(conn, key=self.key, name="test", scopes=["admin"])
        self.settings = {"HEARTBEAT_TIMEOUT": f"{self.heartbeat_timeout:g}", **self.settings}
        self.api = self._api()

    def _api(self) -> ApiProcess:
        return ApiProcess(self.postgres.url(self.database), self.redis.url, self.key, self.settings)

    def add_controller(self, name: str = "controller") -> Process:
        """Start a controller."""
        return self._add(
            name, ["-I", "-m", "orchestrator", "controller"], DATABASE_URL=self.postgres.url(self.database)
        )

    def add_worker(
        self, name: str, *, concurrency: int = 2, target: str = "tests.support.probe:agent", wait: bool = True
    ) -> Process:
        """Start an agent and wait until the API shows it."""
        arguments = ["-c", WORKER, target, "--name", name, "--concurrency", str(concurrency)]
        worker = self._add(name, arguments, PYTHONPATH=str(ROOT))
        if wait:
            self.wait_for_agent(name, worker)
        return worker

    def wait_for_agent(self, name: str, worker: Process) -> None:
        """Wait until this very process is registered under the name."""

        def registered() -> bool:
            found = self.get(f"/agents/{name}")
            return found.status_code == httpx.codes.OK and found.json()["pid"] == worker.process.pid

        wait_for(registered, within=40, what=f"agent {name}")

    def _add(self, name: str, arguments: list[str], **environ: str) -> Process:
        common = {key: value for key, value in os.environ.items() if not key.startswith("ORCHESTRATOR_")}
        environment = {**common, **self.settings, "REDIS_URL": self.redis.url, **environ}
        process = Process(name, [sys.executable, *arguments], environment, self.folder)
        process.start()
        self.processes[name] = process
        return process

    def restart_api(self, how: signal.Signals) -> None:
        """End the API in this way, and start it again on another port."""
        os.killpg(self.api.pid, how)
        self.api.stop()
        self.api = self._api()

    def freeze_group(self, process: Process) -> None:
        """Freeze a worker with its pool, whose children lead groups of their own."""
        for member in _family(process):
            member.suspend()

    def thaw_group(self, process: Process) -> None:
        """Let a frozen worker and its pool go on."""
        for member in _family(process):
            member.resume()

    def agent_status(self, name: str) -> str:
        """Return how the API sees an agent."""
        return str(self.get(f"/agents/{name}").json().get("status"))

    def outage_lasted(self, seconds: float) -> bool:
        """Whether it is so long since this was first asked."""
        self._outage_began = self._outage_began or time.monotonic()
        return time.monotonic() - self._outage_began >= seconds

    def get(self, path: str, **query: Any) -> httpx.Response:
        """GET, tried again while the API is down."""
        return self._call("GET", path, params=query)

    def cancel(self, task_id: str) -> httpx.Response:
        """Ask for the task's cancellation."""
        return self._call("DELETE", f"/tasks/{task_id}")

    def submit(self, task_type: str, parameters: dict[str, Any] | None = None, **fields: Any) -> str:
        """Submit a task and return its id; a refused connection is tried again, for it accepted nothing."""
        body = {"agent_type": "probe", "task_type": task_type, "parameters": parameters or {}, **fields}
        answer = self._call("POST", "/tasks", json=body)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return str(answer.json()["task_id"])

    def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        answers: list[httpx.Response] = []

        def answered() -> bool:
            try:
                answers.append(self.api.http.request(method, path, **arguments))
            except (httpx.ConnectError, httpx.RemoteProtocolError):
                return False
            return True

        wait_for(answered, within=20, what=f"an answer to {method} {path}")
        return answers[-1]

    def task(self, task_id: str) -> dict[str, Any]:
        """Return the task as the API shows it."""
        task: dict[str, Any] = self.get(f"/tasks/{task_id}").json()
        return task

    def wait_until(self, task_id: str, status: str, *, within: float) -> dict[str, Any]:
        """Wait until the task has this status; fail at once if it ended otherwise."""

        def there() -> dict[str, Any] | None:
            task = self.task(task_id)
            assert task["status"] == status or task["status"] not in TERMINAL, task
            return task if task["status"] == status else None

        found = wait_for(there, within=within, what=f"status {status} of {task_id}")
        assert found is not None
        return found

    def wait_for_ends(self, ids: Iterable[str], *, within: float) -> dict[str, dict[str, Any]]:
        """Wait until every task has ended, and return them."""
        open_ids, ended = set(ids), {}

        def all_ended() -> bool:
            for task_id in sorted(open_ids):
                task = self.task(task_id)
                if task["status"] not in TERMINAL:
                    return False
                ended[task_id] = task
                open_ids.discard(task_id)
            return True

        wait_for(all_ended, within=within, what=f"the end of all tasks ({len(open_ids)} open)")
        return ended

    def ends_recorded(self, ids: Iterable[str]) -> dict[str, int]:
        """Return how many attempts of each task are on record as ended with an outcome of their own."""
        query = (
            "SELECT task_id::text, count(*) FROM attempts WHERE outcome IN ('completed', 'failed', 'timeout')"
            " AND task_id = ANY(%s::uuid[]) GROUP BY task_id"
        )
        return dict(self.postgres.run(query, (list(ids),), database=self.database))

    def close(self) -> None:
        """Stop everything that was started here."""
        for process in reversed(list(self.processes.values())):
            process.stop()
        self.api.stop()
        self.ledger.close()


def _family(process: Process) -> list[psutil.Process]:
    main = psutil.Process(process.process.pid)
    return [main, *main.children(recursive=True)]
