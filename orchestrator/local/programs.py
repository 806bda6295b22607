"""The programs of a stack besides its servers: what each is called with, and what it may see."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from orchestrator.local.agents import interpreter
from orchestrator.local.processes import Program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.local.agents import AgentSource

LEDGER_NAMES = ("DATABASE_URL",)
BROKER_NAMES = ("REDIS_URL", "REDIS_ADDR", "REDIS_PASSWORD")


class Environments:
    """What each kind of program gets from the environment: its own servers, and nobody else's secrets."""

    def __init__(self, inherited: Mapping[str, str], *, redis_url: str, database_url: str) -> None:
        hidden = {*LEDGER_NAMES, *BROKER_NAMES}
        self.none = {name: value for name, value in inherited.items() if name not in hidden}
        self.broker = self.none | {"REDIS_URL": redis_url}
        self.both = self.broker | {"DATABASE_URL": database_url}


def migrate(environ: Mapping[str, str], cwd: Path, key_file: Path) -> Program:
    """Return the migration, which also makes the stack's key."""
    command = (*interpreter(isolated=True), "migrate", "--admin-key-file", str(key_file))
    return Program("migrate", command, environ, cwd, once=True)


def api(environ: Mapping[str, str], cwd: Path, port: int) -> Program:
    """Return the HTTP side."""
    return Program("api", (*interpreter(isolated=True), "api"), {**environ, "PORT": str(port)}, cwd)


def controller(environ: Mapping[str, str], cwd: Path) -> Program:
    """Return the controller."""
    return Program("controller", (*interpreter(isolated=True), "controller"), environ, cwd)


def flower(environ: Mapping[str, str], cwd: Path, port: int) -> Program:
    """Return the dashboard, on loopback and read-only; it works in a folder of its own."""
    command = (
        *(sys.executable, "-u", "-I", "-m", "celery", "-A", "orchestrator.worker.flower", "flower"),
        *("--address=127.0.0.1", f"--port={port}", "--read_only=True"),
    )
    return Program("flower", command, environ, cwd)


def worker(
    source: AgentSource, environ: Mapping[str, str], cwd: Path, *, name: str, concurrency: int
) -> Program:
    """Return an agent; it stays away when it was told to leave."""
    command = source.command("--name", name, "--concurrency", str(concurrency))
    return Program(name, command, environ, cwd, may_leave=True)
