"""The folder of a local stack: who holds it, its secrets, its connection file."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import psutil

from orchestrator.local.errors import StackError

if TYPE_CHECKING:
    from pathlib import Path

WAIT_FOR_WARDEN_SECONDS = 8.0
"""How long what a killed stack left behind may take to end."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How a running stack is reached, with full rights; `processes` maps names to process ids."""

    url: str
    api_key: str
    redis_url: str
    database_url: str
    flower_url: str | None
    processes: dict[str, int]


class DataDir:
    """A folder that this process holds until it ends; what is strange in it is left alone."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.lock_fd = -1
        self.connection_file = self.path / "connection.json"

    def take(self) -> None:
        """Make the folder if it is missing, and hold it. Raises StackError when another live stack does."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.lock_fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StackError(f"{self.path} cannot be used as data folder: {error.strerror}") from error
        deadline = time.monotonic() + WAIT_FOR_WARDEN_SECONDS
        while not self._try_lock():
            holder = self._holder()
            if holder is not None or time.monotonic() > deadline:
                raise StackError(
                    f"{self.path} is in use by another `orchestrator up` (process {holder or 'unknown'})"
                )
            time.sleep(0.05)
        os.ftruncate(self.lock_fd, 0)
        os.pwrite(self.lock_fd, json.dumps(_identity(os.getpid())).encode(), 0)
        self.connection_file.unlink(missing_ok=True)

    def folder(self, name: str) -> Path:
        """Return a folder of ours in it, which nobody else may read."""
        path = self.path / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def secret(self, name: str) -> str:
        """Return a secret that is made once and kept in a file of its owner's."""
        path = self.path / f"{name}.secret"
        with suppress(FileNotFoundError):
            if text := path.read_text().strip():
                return text
        text = secrets.token_urlsafe(24)
        write_private(path, text + "\n")
        return text

    def remember(self, name: str, value: Any) -> None:
        """Keep a small value for the next start."""
        write_private(self.path / f"{name}.json", json.dumps(value))

    def recall(self, name: str) -> Any:
        """Return what was kept, None if there is nothing that can be read."""
        try:
            return json.loads((self.path / f"{name}.json").read_text())
        except (OSError, ValueError):
            return None

    def publish(self, connection: Connection) -> None:
        """Write the connection file, whole or not at all."""
        write_private(self.connection_file, json.dumps(asdict(connection), indent=2) + "\n")

    def withdraw(self) -> None:
        """Remove the connection file."""
        self.connection_file.unlink(missing_ok=True)

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self.lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _holder(self) -> int | None:
        """Return the live process that wrote itself into the lock; None if that one is dead."""
        try:
            written = json.loads(os.pread(self.lock_fd, 1000, 0))
            pid = int(written["pid"])
            alive = psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
            return pid if alive and _identity(pid) == written else None
        except (ValueError, KeyError, TypeError, psutil.Error):
            return None


def _identity(pid: int) -> dict[str, Any]:
    """Return what tells this process from a later one of the same id."""
    return {"pid": pid, "started": psutil.Process(pid).create_time()}


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)
