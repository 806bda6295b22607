"""A program and how it stands: its process, its lines, its failures."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from orchestrator.local.output import LineSplitter, LogFile
from orchestrator.local.processes import kill_rest, spawn

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path
    from typing import IO

    from orchestrator.local.output import Terminal
    from orchestrator.local.processes import Program

FIRST_BACKOFF_SECONDS = 1.0
LAST_BACKOFF_SECONDS = 30.0
SETTLED_SECONDS = 10.0
"""A program that lived this long has started well: its next end is its first."""
READ_BYTES = 65_536
CLOSING_READS = 64
"""How often what a dead program still has in its pipe is read; its children may hold the other end."""


def backoff_seconds(failures: int) -> float:
    """Return how long to wait before the start that follows this many failures."""
    return min(FIRST_BACKOFF_SECONDS * 2.0 ** max(0, min(failures, 16) - 1), LAST_BACKOFF_SECONDS)


class Child:
    """One program of a stack; `process` is None while it does not run."""

    def __init__(self, program: Program, logs: Path, terminal: Terminal) -> None:
        self.program = program
        self.name = program.name
        self.log = LogFile(logs / f"{program.name}.log")
        self.process: subprocess.Popen[bytes] | None = None
        self.failures = 0
        self.last_status: int | None = None
        self.due_at: float | None = None
        self._terminal = terminal
        self._started_at = 0.0
        self._lines = LineSplitter()

    def start(self) -> subprocess.Popen[bytes]:
        """Start it, its output not waited for."""
        self.due_at = None
        self._started_at = time.monotonic()
        self._lines = LineSplitter()
        self.process = spawn(self.program)
        if self.process.stdout is not None:
            os.set_blocking(self.process.stdout.fileno(), False)
        return self.process

    @property
    def output(self) -> IO[bytes] | None:
        """The reading end of what the process writes."""
        return self.process.stdout if self.process is not None else None

    def read(self) -> bool:
        """Take what it wrote; False when there will be no more."""
        if self.output is None:
            return False
        try:
            data = os.read(self.output.fileno(), READ_BYTES)
        except BlockingIOError:
            return True
        self._show(self._lines.feed(data))
        return bool(data)

    def close(self) -> None:
        """Take the last lines of a process that ended, and kill what it left behind."""
        if self.process is None:
            return
        kill_rest(self.program, self.process.pid)
        for _ in range(CLOSING_READS):
            if not self._has_more():
                break
        self._show(self._lines.flush())
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None

    def plan(self, status: int) -> str:
        """Decide when a program that ended with this status is started again, and return what happened."""
        self.last_status = status
        if self.program.once:
            return ""
        if status == 0 and self.program.may_leave:
            return f"{self.name} has left"
        if time.monotonic() - self._started_at >= SETTLED_SECONDS:
            self.failures = 0
        self.failures += 1
        wait = backoff_seconds(self.failures)
        self.due_at = time.monotonic() + wait
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"{self.name} {how}; it is started again in {wait:g} s"

    def explain(self, what: str) -> str:
        """Return `what` happened to it with the last lines that it wrote."""
        lines = "\n".join(f"  {line}" for line in list(self.log.tail)[-12:])
        return f"{what}; its last lines:\n{lines}" if lines else f"{what}, and wrote nothing"

    def _has_more(self) -> bool:
        if self.output is None:
            return False
        try:
            data = os.read(self.output.fileno(), READ_BYTES)
        except BlockingIOError:
            return False
        self._show(self._lines.feed(data))
        return bool(data)

    def _show(self, lines: list[bytes]) -> None:
        for line in lines:
            self.log.write(line)
            if self.program.in_terminal:
                self._terminal.line(self.name, line)
