"""`orchestrator up`: the whole system on one machine, in one terminal."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.local import ports, postgres_server, programs, redis_server
from orchestrator.local.agents import TypeProbe, names_for
from orchestrator.local.data_dir import Connection, DataDir
from orchestrator.local.errors import StackError, StopRequested
from orchestrator.local.output import Terminal
from orchestrator.local.probes import Probes
from orchestrator.local.processes import Warden
from orchestrator.local.samples import Samples
from orchestrator.local.screen import Screen
from orchestrator.local.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.local.agents import AgentSource

START_SECONDS = 60.0
IDLE_SECONDS = 5.0
STOP_API_SECONDS, STOP_WORKERS_SECONDS, STOP_REST_SECONDS, STOP_SERVERS_SECONDS = 1.5, 3.5, 1.5, 2.0


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What `orchestrator up` was asked for. A port of 0 is any free one; no flower_port, no Flower."""

    data_dir: Path
    port: int
    flower_port: int | None
    agents: tuple[AgentSource, ...]
    concurrency: int
    host: str
    redis_server: str
    samples: Path | None


def run(options: StackOptions, environ: Mapping[str, str]) -> None:
    """Start everything, keep it running until a signal asks to stop, and stop it all.

    Raises StackError when it cannot be started; whatever had started is stopped then too.
    """
    folder = DataDir(options.data_dir)
    folder.take()
    Stack(options, folder, dict(environ)).run()


class Stack:
    """One running stack."""

    def __init__(self, options: StackOptions, folder: DataDir, environ: dict[str, str]) -> None:
        self._options = options
        self._folder = folder
        self._environ = environ
        self._cwd = Path.cwd()
        self._agent_names: list[str] = []
        self._connection: Connection | None = None
        terminal = Terminal()
        self._screen = Screen(terminal)
        warden = Warden(hold_fd=folder.lock_fd, remove=folder.connection_file, environ=environ)
        self._warden = warden
        self._supervisor = Supervisor(
            logs=folder.folder("logs"), warden=warden, terminal=terminal, on_change=self._follow
        )

    def run(self) -> None:
        """Start, stay, stop."""
        with self._supervisor:
            try:
                connection = self._start()
                self._publish(connection)
                self._screen.ready(connection, self._folder.connection_file)
                if self._options.samples is not None:
                    Samples(self._options.samples, connection, self._supervisor, self._screen).run()
                while True:
                    self._supervisor.step(IDLE_SECONDS)
            except StopRequested:
                self._screen.say("stopping")
            finally:
                self._stop()

    def _start(self) -> Connection:
        options = self._options
        started_at = time.monotonic()
        port = ports.take(options.port, host=options.host, what="the API")
        flower_port = None
        if options.flower_port is not None:
            flower_port = ports.take(options.flower_port, what="Flower")
        plan = programs.Environments(self._environ, redis_url="", database_url="")
        probes = [TypeProbe(source, environ=plan.none, cwd=self._cwd) for source in options.agents]
        try:
            redis_url, database_url = self._start_servers()
            everyone = programs.Environments(self._environ, redis_url=redis_url, database_url=database_url)
            api_key = self._migrate(everyone)
            self._supervisor.wait_for(
                lambda: all(probe.done() for probe in probes), within=START_SECONDS, what="the agents' types"
            )
            self._agent_names = names_for([probe.answer() for probe in probes])
        finally:
            for probe in probes:
                probe.stop()
        connection = Connection(
            url=f"http://{_reachable(options.host)}:{port}",
            api_key=api_key,
            redis_url=redis_url,
            database_url=database_url,
            flower_url=f"http://127.0.0.1:{flower_port}" if flower_port is not None else None,
            processes={},
        )
        self._start_programs(everyone, port, flower_port)
        self._wait_until_everything_answers(connection)
        self._screen.say(f"everything answers after {time.monotonic() - started_at:.1f} s")
        return connection

    def _start_servers(self) -> tuple[str, str]:
        """Start Redis and PostgreSQL, on the ports they had before if those are free."""
        folder, supervisor = self._folder, self._supervisor
        known = folder.recall("ports") or {}
        redis_port = ports.free_port(preferred=known.get("redis"))
        database_port = ports.free_port(preferred=known.get("postgres"))
        folder.remember("ports", {"redis": redis_port, "postgres": database_port})
        redis_password, database_password = folder.secret("redis"), folder.secret("postgres")

        binary = redis_server.find(self._options.redis_server, self._environ)
        redis_folder = folder.folder("redis")
        if redis_server.loses_older_data(binary, redis_folder):
            self._screen.say("the queues here were kept by a newer Redis: they are rebuilt from the ledger")
        environments = programs.Environments(self._environ, redis_url="", database_url="")
        supervisor.start(
            redis_server.program(
                binary, redis_folder, port=redis_port, password=redis_password, environ=environments.none
            )
        )
        postgres = postgres_server.PostgresServer(folder.folder("postgres"), environ=environments.none)
        postgres.prepare(database_password)
        supervisor.start(postgres.program(database_port))

        redis_url = redis_server.url(redis_port, redis_password)
        supervisor.wait_for(lambda: redis_server.answers(redis_url), within=START_SECONDS, what="Redis")
        self._screen.say(f"Redis answers on port {redis_port} ({binary})")
        supervisor.wait_for(
            lambda: postgres_server.answers(database_port), within=START_SECONDS, what="PostgreSQL"
        )
        self._screen.say(f"PostgreSQL answers on port {database_port}")
        return redis_url, postgres_server.url(database_port, database_password)

    def _migrate(self, environments: programs.Environments) -> str:
        key_file = self._folder.path / "admin.key"
        self._supervisor.run_to_end(
            programs.migrate(environments.both, self._cwd, key_file), within=START_SECONDS
        )
        return key_file.read_text().strip()

    def _start_programs(
        self, environments: programs.Environments, port: int, flower_port: int | None
    ) -> None:
        start = self._supervisor.start
        start(programs.api(environments.both, self._cwd, port))
        start(programs.controller(environments.both, self._cwd))
        for source, name in zip(self._options.agents, self._agent_names, strict=True):
            start(
                programs.worker(
                    source,
                    environments.broker,
                    self._cwd,
                    name=name,
                    concurrency=self._options.concurrency,
                )
            )
        if flower_port is not None:
            start(programs.flower(environments.broker, self._folder.path, flower_port))

    def _wait_until_everything_answers(self, connection: Connection) -> None:
        with Probes(connection) as probes:
            wait = self._supervisor.wait_for
            wait(probes.api, within=START_SECONDS, what="the API")
            self._screen.say(f"the API answers on {connection.url}")
            wait(probes.controller, within=START_SECONDS, what="the controller")
            for name in self._agent_names:
                wait(lambda name=name: probes.agent(name), within=START_SECONDS, what=f"the agent {name}")  # type: ignore[misc]
                self._screen.say(f"the agent {name} has registered")
            wait(probes.flower, within=START_SECONDS, what="Flower")

    def _publish(self, connection: Connection) -> None:
        self._connection = replace(connection, processes=self._supervisor.pids())
        try:
            self._folder.publish(self._connection)
        except OSError as error:
            self._screen.say(f"{self._folder.connection_file} cannot be written: {error.strerror}")

    def _follow(self) -> None:
        if self._connection is not None:
            self._publish(self._connection)

    def _stop(self) -> None:
        self._connection = None
        self._folder.withdraw()
        self._supervisor.stop(
            [
                (["api", "migrate"], STOP_API_SECONDS),
                (self._agent_names, STOP_WORKERS_SECONDS),
                (["controller", "flower"], STOP_REST_SECONDS),
                (["postgres", "redis"], STOP_SERVERS_SECONDS),
            ]
        )
        self._warden.dismiss()
        self._screen.say("everything has stopped")


def _reachable(host: str) -> str:
    """Return the address under which a listener on `host` is reached from here."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


__all__ = ["StackError", "StackOptions", "run"]
