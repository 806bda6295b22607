"""A real PostgreSQL for tests: one server a session, one migrated template, a fresh database per test."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg2
import pytest

from orchestrator.ledger.deadline import socket_deadline
from orchestrator.ledger.engine import Ledger
from orchestrator.ledger.migrate import migrate
from orchestrator.ledger.options import LedgerOptions
from orchestrator.local.errors import StackError
from orchestrator.local.postgres_files import account_for, identity, programs_for

if TYPE_CHECKING:
    from collections.abc import Iterator

PR_SET_PDEATHSIG = 1
START_SECONDS = 60.0
STOP_SECONDS = 20.0
USER, PASSWORD = "orchestrator", "test-password"
TEMPLATE = "ledger_template"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "log_min_messages": "warning",
}


class PostgresServer:
    """The embedded server in a folder of its own, on a free port and a Unix socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self._account = account_for(folder)
        try:
            self._binaries = programs_for(self._account)
        except StackError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the cluster if there is none, start it, and wait until it answers."""
        if not (self.folder / "data").exists():
            self._init()
        settings = {**SETTINGS, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self.folder / "data", *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
                preexec_fn=_die_with_us,  # noqa: PLW1509 - no thread of ours holds a lock that it needs
                **identity(self._account),
            )
        self._wait_until_it_answers()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT breaks connections, SIGKILL asks nobody. A frozen one is woken first."""
        process = self._process
        if process is None:
            return
        self.thaw()
        everyone = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        process.send_signal(how)
        process.wait(STOP_SECONDS)
        psutil.wait_procs(everyone, STOP_SECONDS)
        self._process = None

    def freeze(self) -> None:
        """Stop the postmaster and every backend: connections stay, nobody answers."""
        for process in self._everyone():
            _signal(process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        for process in self._everyone():
            _signal(process, signal.SIGCONT)

    def url(self, database: str) -> str:
        """Return the database's URL over TCP."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def socket_url(self, database: str) -> str:
        """Return the database's URL over the Unix socket."""
        return f"postgresql://{USER}:{PASSWORD}@/{database}?host={self.folder}&port={self.port}"

    def options(self, database: str, **changes: Any) -> LedgerOptions:
        """Return options of a ledger in `database`."""
        return LedgerOptions(**{"database_url": self.url(database), "timeout_seconds": 5.0, **changes})

    def run(
        self, statement: str, values: tuple[Any, ...] = (), *, database: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        """Run one statement outside any transaction and return its rows."""
        with socket_deadline(START_SECONDS):
            connection = psycopg2.connect(self.url(database), application_name="test-admin")
            try:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute(statement, values or None)
                    return cursor.fetchall() if cursor.description else []
            finally:
                connection.close()

    def connections(self, application_name: str) -> int:
        """Count the server's connections of this application name."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        return int(self.run(query, (application_name,))[0][0])

    def create_database(self, template: str = "template1") -> str:
        """Create a database after a template and return its name."""
        name = f"test_{uuid.uuid4().hex}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def _everyone(self) -> list[psutil.Process]:
        """The postmaster first: every backend leads a process group of its own, and it would replace them."""
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def _init(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(PASSWORD)
        if self._account is not None:
            for path in (self.folder, password_file):
                os.chown(path, self._account.uid, self._account.gid)
        command = [
            "-D",
            self.folder / "data",
            "-U",
            USER,
            "--auth=scram-sha-256",
            f"--pwfile={password_file}",
        ]
        subprocess.run(
            [self._binaries / "initdb", *command, "--no-sync", "--locale=C", "--encoding=UTF8"],
            check=True,
            capture_output=True,
            timeout=START_SECONDS,
            cwd=self.folder,
            **identity(self._account),
        )

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        ends_at = time.monotonic() + START_SECONDS
        while True:
            try:
                self.run("SELECT 1")
            except psycopg2.OperationalError:
                if self._process.poll() is not None or time.monotonic() > ends_at:
                    raise RuntimeError((self.folder / "log").read_text()[-2000:]) from None
                time.sleep(0.02)
            else:
                return


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _die_with_us() -> None:
    """Have the kernel end the server if the tests are killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server that all tests share: leave it as it was."""
    yield from run_server()


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """A server of the test's own, to freeze, stop and kill."""
    yield from run_server()


def run_server() -> Iterator[PostgresServer]:
    """Run a server, for a fixture to yield from."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    server = PostgresServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def ledger_template(postgres_server: PostgresServer) -> str:
    """The name of a migrated database that nobody is connected to."""
    postgres_server.run(f"CREATE DATABASE {TEMPLATE}")
    migrate(postgres_server.options(TEMPLATE))
    return TEMPLATE


@pytest.fixture
def database(postgres_server: PostgresServer, ledger_template: str) -> Iterator[str]:
    """The name of a fresh, migrated database."""
    name = postgres_server.create_database(ledger_template)
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def ledger_options(postgres_server: PostgresServer, database: str) -> LedgerOptions:
    """Options of a ledger in a fresh database."""
    return postgres_server.options(database)


@pytest.fixture
def ledger(ledger_options: LedgerOptions) -> Iterator[Ledger]:
    """A ledger in a fresh database."""
    ledger = Ledger(ledger_options, application_name="test")
    yield ledger
    ledger.close()
