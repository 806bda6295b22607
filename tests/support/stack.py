"""A whole local stack for tests: `orchestrator up` in a process of its own, in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import httpx
import psutil
import pytest

from orchestrator.client import Client
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

READY_SECONDS = 90.0
STOP_SECONDS = 15.0
MARK = "STACK_OF_A_TEST"
HIDDEN = ("REDIS_URL", "DATABASE_URL", "PORT", "ORCHESTRATOR_URL", "ORCHESTRATOR_API_KEY")


class LocalStack:
    """One `orchestrator up`, not started before `start`; the same folder can be started again and again."""

    def __init__(
        self,
        folder: Path,
        *,
        agents: str | None = None,
        flower: bool = False,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.log = folder.with_name(f"{folder.name}.out")
        self.started_within = 0.0
        self.mark = uuid.uuid4().hex
        self._agents = agents
        self._flower = flower
        self._cwd = cwd
        self._environ = {name: value for name, value in os.environ.items() if name not in HIDDEN}
        self._environ |= {MARK: self.mark, **(environ or {})}
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def launch(self) -> subprocess.Popen[bytes]:
        """Start `orchestrator up` and do not wait for it."""
        command = [sys.executable, "-m", "orchestrator", "up", "--data-dir", str(self.folder), "--port", "0"]
        command += ["--flower-port", "0"] if self._flower else ["--no-flower"]
        command += ["--agents", self._agents] if self._agents is not None else []
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self._cwd,
                env=self._environ,
                start_new_session=True,
            )
        return self._process

    def start(self) -> None:
        """Start it, and wait until everything answers."""
        began = time.monotonic()
        stale = self._read()
        process = self.launch()

        def ready() -> bool:
            assert process.poll() is None, f"up ended with {process.returncode}:\n{self.output()[-4000:]}"
            return self._read() not in (None, stale)

        wait_for(ready, within=READY_SECONDS, what="the stack")
        self.started_within = time.monotonic() - began

    def stop(self, how: signal.Signals = signal.SIGTERM) -> float:
        """Ask it to stop; return how many seconds that took, and fail if anything is left."""
        process = self._process
        if process is None:
            return 0.0
        began = time.monotonic()
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"the stack did not stop within {STOP_SECONDS:g} s:\n{self.output()[-4000:]}")
        self._process = None
        return time.monotonic() - began

    def kill(self) -> None:
        """Kill -9 `up` itself, and nothing else."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def kill_everything(self) -> None:
        """Kill -9 `up` and every process that descends from it, at one time."""
        assert self._process is not None
        everyone = psutil.Process(self._process.pid).children(recursive=True)
        for process in [psutil.Process(self._process.pid), *everyone]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        self._process = None
        psutil.wait_procs(everyone, STOP_SECONDS)

    def restart(self) -> None:
        """Stop it and start it on the same folder."""
        self.stop()
        self.start()

    @property
    def pid(self) -> int:
        """The process id of `up`."""
        assert self._process is not None
        return self._process.pid

    @property
    def connection(self) -> dict[str, Any]:
        """What connection.json says now."""
        found = self._read()
        assert found is not None, "the stack is not up"
        return found

    @property
    def url(self) -> str:
        return str(self.connection["url"])

    @property
    def api_key(self) -> str:
        return str(self.connection["api_key"])

    @property
    def redis_url(self) -> str:
        return str(self.connection["redis_url"])

    @property
    def database_url(self) -> str:
        return str(self.connection["database_url"])

    @property
    def flower_url(self) -> str | None:
        found: str | None = self.connection["flower_url"]
        return found

    @property
    def processes(self) -> dict[str, int]:
        """The processes that run now, by name."""
        return dict(self.connection["processes"])

    def signal(self, name: str, number: signal.Signals) -> int:
        """Send a signal to a process of the stack, and return its id."""
        pid = self.processes[name]
        os.kill(pid, number)
        return pid

    def wait_for_other(self, name: str, pid: int, *, within: float = 15.0) -> int:
        """Wait until another process than `pid` runs under this name, and return its id."""
        wait_for(
            lambda: self.processes.get(name) not in (None, pid),
            within=within,
            what=f"another process {name} than {pid}",
        )
        return self.processes[name]

    def http(self) -> httpx.Client:
        """Return a client of the API with the stack's key; close it."""
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.api_key}"},
            timeout=70,
            trust_env=False,
        )

    def client(self) -> Client:
        """Return the orchestrator's own client; close it."""
        return Client(self.url, self.api_key)

    def leftovers(self) -> list[str]:
        """Return every living process that belongs to this stack, by what it inherited or where it works."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                place = process.cwd()
                if (
                    process.environ().get(MARK) == self.mark or place.startswith(f"{self.folder.resolve()}/")
                ) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"{process.pid} {process.cmdline()}")
        return found

    def output(self) -> str:
        """Return what `up` showed in its terminal."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _read(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self.folder / "connection.json").read_text())
        except FileNotFoundError:
            return None
        return found


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack with the built-in agents that tests share: leave it as it was."""
    with LocalStack(tmp_path_factory.mktemp("shared") / "stack") as stack:
        yield stack


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[LocalStack]:
    """A stack of the test's own, to kill what it likes."""
    with LocalStack(tmp_path / "stack") as stack:
        yield stack
