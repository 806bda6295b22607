"""The API as it runs in earnest: `orchestrator api`, gunicorn on gevent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from orchestrator.ledger.catalogue import upsert_capabilities
from orchestrator.ledger.keys import ensure_key, new_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.ledger.engine import Ledger

START_SECONDS = 30.0
STOP_SECONDS = 20.0
GREET_SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "times": {"type": "integer", "minimum": 1}},
    "required": ["name"],
}
CAPABILITIES = [
    {"task_type": "greet", "parameters_schema": GREET_SCHEMA, "defaults": {"timeout_seconds": 77}},
    {"task_type": "anything", "parameters_schema": None, "defaults": {}},
]
ANYTHING = {"agent_type": "probe", "task_type": "anything"}


def prepare(ledger: Ledger, *, scopes: tuple[str, ...] = ("admin",)) -> str:
    """Put a key and the probe's capabilities into the ledger; return the key."""
    key = new_key()
    with ledger.transaction() as connection:
        ensure_key(connection, key=key, name="test", scopes=list(scopes))
        upsert_capabilities(connection, "probe", CAPABILITIES)
    return key


class ApiProcess:
    """One API process (a master with one worker) on a free port."""

    def __init__(self, database_url: str, redis_url: str, key: str, settings: Mapping[str, str]) -> None:
        self.key = key
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self._log = Path(tempfile.mkstemp(prefix="api-", suffix=".log")[1])
        own = {
            "PORT": str(self._port),
            "ORCHESTRATOR_API_WORKERS": "1",
            "ORCHESTRATOR_GRACEFUL_TIMEOUT": "10",
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-m", "orchestrator", "api"],
                env={**kept, **own, **settings},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.http = self.client(key)
        self._wait_until_it_answers()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self._port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def log(self) -> str:
        return self._log.read_text()

    def client(self, key: str | None) -> httpx.Client:
        """Return a client that shows this key."""
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=0)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=70, limits=limits)

    def submit(self, query: str = "", **fields: Any) -> dict[str, Any]:
        """Submit a task that takes any parameters; return the answer."""
        response = self.http.post(f"/tasks{query}", json={**ANYTHING, **fields})
        assert response.status_code == 201, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def terminate(self) -> None:
        """Ask it to stop."""
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Stop it and wait for its end."""
        self.http.close()
        if self._process.poll() is None:
            self.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        finally:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(STOP_SECONDS)
            self._log.unlink()

    def _wait_until_it_answers(self) -> None:
        ends_at = time.monotonic() + START_SECONDS
        while True:
            try:
                self.http.get("/health")
            except httpx.TransportError:
                if self._process.poll() is not None or time.monotonic() > ends_at:
                    raise RuntimeError(self.log[-3000:]) from None
                time.sleep(0.05)
            else:
                return
