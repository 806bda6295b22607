"""The whole system under test: every part a process of its own, every way to a server through a proxy."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil

from orchestrator.ledger.engine import Ledger
from orchestrator.ledger.keys import ensure_key, new_key
from orchestrator.ledger.migrate import migrate
from tests.support.cluster import ROOT, Process
from tests.support.postgres import PostgresServer
from tests.support.proxy import Loop, Proxy
from tests.support.redis import RedisServer
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS = ("worker-1", "worker-2", "worker-3")
CONTROLLERS = ("controller-1", "controller-2")
APIS = ("api-1", "api-2")
CHILDREN = 4
HEARTBEAT_SECONDS = 3.0
SETTINGS = {
    "HEARTBEAT_TIMEOUT": f"{HEARTBEAT_SECONDS:g}",
    "ORCHESTRATOR_HARD_LIMIT_GRACE": "1",
    "ORCHESTRATOR_API_WORKERS": "1",
    "ORCHESTRATOR_GRACEFUL_TIMEOUT": "5",
}
START_SECONDS = 60.0
ENDS_TABLE = """
    CREATE TABLE chaos_ends (task_id uuid, status text, result text, at timestamptz);
    CREATE FUNCTION chaos_note_end() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO chaos_ends VALUES (NEW.id, NEW.status, NEW.result::text, clock_timestamp());
        RETURN NULL;
    END $$;
    CREATE TRIGGER chaos_ends AFTER UPDATE ON tasks FOR EACH ROW
    WHEN (NEW.status IN ('completed', 'failed', 'timeout', 'cancelled') AND
        (OLD.status, OLD.result::text, OLD.error_code)
        IS DISTINCT FROM (NEW.status, NEW.result::text, NEW.error_code))
    EXECUTE FUNCTION chaos_note_end();
"""
"""A witness inside PostgreSQL of every write that ends a task, or changes one that has ended."""
MAIN = "from orchestrator.cli import main; main({arguments!r})"
SERVER = "import sys; sys.path.insert(0, {root!r}); {prepare}" + MAIN
WORKER = "{prepare}from orchestrator.worker.command import worker; worker()"


@dataclass
class Stack:
    """Redis, PostgreSQL, two API processes, two controllers, three workers of four children each.

    `broken` names a module of tests.chaos.broken that every process of ours loads first.
    """

    folder: Path
    broken: str = ""
    processes: dict[str, Process] = field(default_factory=dict)
    links: dict[str, Proxy] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.journal = self.folder / "journal"
        self.journal.mkdir()
        self.redis = RedisServer(Path(tempfile.mkdtemp(prefix="chaos-redis-")), durable=True)
        self.postgres = PostgresServer(Path(tempfile.mkdtemp(prefix="chaos-pg-")))
        self.key = new_key()
        self._ports = dict(zip(APIS, _free_ports(len(APIS)), strict=True))
        self._loop = Loop()

    @property
    def urls(self) -> list[str]:
        """Where the API processes listen, also after a restart."""
        return [f"http://127.0.0.1:{port}" for port in self._ports.values()]

    def start(self) -> None:
        """Start everything and wait until every agent is registered."""
        self.redis.start()
        self.postgres.start()
        self.database = self.postgres.create_database()
        migrate(self.postgres.options(self.database))
        self.postgres.run(ENDS_TABLE, database=self.database)
        ledger = Ledger(self.postgres.options(self.database), application_name="chaos")
        with ledger.transaction() as conn:
            ensure_key(conn, key=self.key, name="chaos", scopes=["admin"])
        ledger.close()
        for name in CONTROLLERS:
            self._add(name, self._server("controller"), self._redis_url(name), self._postgres_url(name))
        for name in APIS:
            port = {"PORT": str(self._ports[name])}
            self._add(name, self._server("api"), self._redis_url(name), self._postgres_url(name), port)
        for name in WORKERS:
            self._add(name, self._worker(name), self._redis_url(name), {"PYTHONPATH": str(ROOT)})
        wait_for(self._is_ready, within=START_SECONDS, what="all APIs and agents")

    def leader(self) -> str:
        """Return the name of the controller that leads; the first one's while that cannot be told."""
        rows = self.postgres.run("SELECT holder FROM leadership", database=self.database)
        pid = int(rows[0][0].split(":")[1]) if rows and rows[0][0] else 0
        return next((name for name in CONTROLLERS if self.pid(name) == pid), CONTROLLERS[0])

    def standby(self) -> str:
        """Return the name of the controller that does not lead."""
        leader = self.leader()
        return next(name for name in CONTROLLERS if name != leader)

    def pid(self, name: str) -> int:
        return self.processes[name].process.pid

    def kill(self, name: str) -> None:
        """Kill -9: of a worker its main process only, of the rest the whole group."""
        process = self.processes[name].process
        if name not in WORKERS:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait(START_SECONDS)

    def start_again(self, name: str) -> None:
        """Start a process that was killed."""
        self.processes[name].start()

    def signal_all(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process and all that it started."""
        for member in self._family(name):
            with suppress(psutil.NoSuchProcess):
                member.send_signal(number)

    def close(self) -> None:
        """Stop everything that was started here."""
        self.close_processes()
        self._loop.close()
        for server in (self.redis, self.postgres):
            server.stop()
            shutil.rmtree(server.folder)

    def close_processes(self) -> None:
        """Kill every process of ours, frozen ones too, and their ways to the servers."""
        for name in self.processes:
            self.signal_all(name, signal.SIGCONT)
            children = self._family(name)[1:]
            self.kill(name)
            for child in children:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        for proxy in self.links.values():
            proxy.close()

    def logs(self) -> Iterator[tuple[str, str]]:
        """Return the log of every process."""
        for name, process in self.processes.items():
            yield name, process.log

    def _family(self, name: str) -> list[psutil.Process]:
        try:
            main = psutil.Process(self.pid(name))
            return [main, *main.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _is_ready(self) -> bool:
        for name, process in self.processes.items():
            if process.process.poll() is not None:
                raise AssertionError(f"{name} ended at its start:\n{process.log[-3000:]}")
        try:
            for url in self.urls:
                answer = httpx.get(
                    f"{url}/agents", headers={"Authorization": f"Bearer {self.key}"}, timeout=5
                )
                healthy = [a for a in answer.json().get("agents", []) if a["status"] == "healthy"]
                if len(healthy) < len(WORKERS):
                    return False
        except httpx.TransportError:
            return False
        return True

    def _add(self, name: str, command: list[str], *environs: dict[str, str]) -> None:
        environ = {key: value for key, value in os.environ.items() if not key.startswith("ORCHESTRATOR_")}
        for more in (SETTINGS, *environs):
            environ.update(more)
        self.processes[name] = Process(name, [sys.executable, *command], environ, self.folder)
        self.processes[name].start()

    def _server(self, command: str) -> list[str]:
        code = SERVER.format(root=str(ROOT), prepare=self._prepare(), arguments=[command])
        return ["-I", "-c", code] if self.broken else ["-I", "-m", "orchestrator", command]

    def _worker(self, name: str) -> list[str]:
        arguments = ["tests.chaos.agent:agent", "--name", name, "--concurrency", str(CHILDREN)]
        return ["-c", WORKER.format(prepare=self._prepare()), *arguments]

    def _prepare(self) -> str:
        return (
            f"from tests.chaos.broken import {self.broken} as broken; broken.apply(); " if self.broken else ""
        )

    def _link(self, name: str, server: str, port: int) -> int:
        proxy = Proxy(self._loop, f"{name}→{server}", port)
        self.links[proxy.name] = proxy
        return proxy.port

    def _redis_url(self, name: str) -> dict[str, str]:
        port = self._link(name, "redis", self.redis.port)
        return {"REDIS_URL": self.redis.url.replace(f":{self.redis.port}/", f":{port}/")}

    def _postgres_url(self, name: str) -> dict[str, str]:
        port = self._link(name, "postgres", self.postgres.port)
        url = self.postgres.url(self.database)
        return {"DATABASE_URL": url.replace(f":{self.postgres.port}/", f":{port}/")}


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
