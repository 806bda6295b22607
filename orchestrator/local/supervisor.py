"""Keeps programs running: starts, watches, starts again, stops. One thread, one loop.

A program that ends is started again after a second, then after twice as long, up to a bound; the others go on.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.errors import OrchestratorError
from orchestrator.local.output import LineSplitter, LogFile, Terminal
from orchestrator.local.processes import Program, Warden, kill_rest, spawn

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from types import FrameType

FIRST_BACKOFF_SECONDS = 1.0
LAST_BACKOFF_SECONDS = 30.0
SETTLED_SECONDS = 10.0
"""A program that lived this long has started well: its next end is its first."""
READ_BYTES = 65_536
POLL_SECONDS = 0.05
FAILURES_AT_START = 3
"""Ends of one program during the start after which the start is given up."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StackError(OrchestratorError):
    """The local stack cannot be started; the message says what to do."""


class StopRequested(Exception):  # noqa: N818 - an order, not a fault
    """Somebody asked the stack to stop."""


def backoff_seconds(failures: int) -> float:
    """Return how long to wait before start number `failures` + 1."""
    return min(FIRST_BACKOFF_SECONDS * 2.0 ** max(0, min(failures, 16) - 1), LAST_BACKOFF_SECONDS)


@dataclass
class _Child:
    """A program and how it stands."""

    program: Program
    log: LogFile
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0
    due_at: float | None = None
    lines: LineSplitter = field(default_factory=LineSplitter)


class Supervisor:
    """The programs of one stack. Use it from the main thread only, as a context manager."""

    def __init__(
        self, *, logs: Path, warden: Warden, terminal: Terminal, on_change: Callable[[], None]
    ) -> None:
        self.terminal = terminal
        self._logs = logs
        self._warden = warden
        self._on_change = on_change
        self._children: dict[str, _Child] = {}
        self._selector = selectors.PollSelector()
        self._wake, self._woken = socket.socketpair()
        self._stop_asked = 0
        self._stopping = False

    def __enter__(self) -> Supervisor:
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            signal.signal(number, self._ask_to_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._flush_terminal()
        self._selector.close()
        self._wake.close()
        self._woken.close()
        for child in self._children.values():
            child.log.close()

    def start(self, program: Program) -> None:
        """Start a program and keep it running."""
        child = _Child(program, LogFile(self._logs / f"{program.name}.log"))
        self._children[program.name] = child
        self._spawn(child)

    def pids(self) -> dict[str, int]:
        """Return the process id of every program that runs now."""
        return {
            name: child.process.pid for name, child in self._children.items() if child.process is not None
        }

    def tail(self, name: str) -> list[str]:
        """Return the last lines that a program wrote."""
        return list(self._children[name].log.tail)

    def step(self, seconds: float) -> None:
        """Do what is to be done, and wait for more at most so long. Raises StopRequested."""
        if self._stop_asked and not self._stopping:
            raise StopRequested
        self._watch_terminal()
        for key, _ in self._selector.select(self._until_next(seconds)):
            if key.fileobj is self._woken:
                self._drain_wakeups()
            elif key.data is None:
                self.terminal.write_some()
            else:
                self._read(key.data)
        self._reap()
        self._start_due()

    def wait_for(self, ready: Callable[[], bool], *, within: float, what: str) -> None:
        """Go on until `ready`. Raises StackError when it takes too long or a program keeps dying."""
        deadline = time.monotonic() + within
        while not ready():
            for name, child in self._children.items():
                if child.failures >= FAILURES_AT_START:
                    raise StackError(self._explain(f"{name} does not start", name))
            if time.monotonic() > deadline:
                raise StackError(f"{what}: not within {within:g} s; see the files in {self._logs}")
            self.step(POLL_SECONDS)

    def run_to_end(self, program: Program, *, within: float) -> None:
        """Run a program once. Raises StackError with its last lines when it fails or takes too long."""
        self.start(program)
        child = self._children[program.name]
        deadline = time.monotonic() + within
        status: int | None = None
        while status is None and child.process is not None:
            status = child.process.poll()
            if time.monotonic() > deadline:
                raise StackError(self._explain(f"{program.name} takes longer than {within:g} s", program.name))
            if status is None:
                self.step(POLL_SECONDS)
        self._close(child)
        if status != 0:
            raise StackError(self._explain(f"{program.name} failed", program.name))
        child.log.close()
        del self._children[program.name]

    def stop(self, stages: Sequence[tuple[Iterable[str], float]]) -> None:
        """Stop the programs stage by stage, each within its seconds, then kill what is left. Asked again: at once."""
        self._stopping = True
        asked_before = self._stop_asked
        for child in self._children.values():
            child.due_at = None
        for names, seconds in stages:
            running = [self._children[name] for name in names if name in self._children]
            for child in running:
                if child.process is not None:
                    child.process.send_signal(child.program.stop_signal)
            deadline = time.monotonic() + seconds
            while any(child.process is not None for child in running) and time.monotonic() < deadline:
                if self._stop_asked > max(1, asked_before):
                    break
                self.step(POLL_SECONDS)
            self._kill(running)
        self._kill(list(self._children.values()))

    def _kill(self, children: list[_Child]) -> None:
        for child in children:
            if child.process is not None:
                kill_rest(child.program, child.process.pid)
        deadline = time.monotonic() + 1.0
        while any(child.process is not None for child in children) and time.monotonic() < deadline:
            self.step(POLL_SECONDS)

    def _spawn(self, child: _Child) -> None:
        child.due_at = None
        child.started_at = time.monotonic()
        child.lines = LineSplitter()
        child.process = spawn(child.program)
        self._warden.watch(child.program, child.process.pid)
        if child.process.stdout is not None:
            os.set_blocking(child.process.stdout.fileno(), False)
            self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def _read(self, child: _Child) -> None:
        if child.process is None or child.process.stdout is None:
            return
        try:
            data = os.read(child.process.stdout.fileno(), READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._selector.unregister(child.process.stdout)
            return
        self._show(child, child.lines.feed(data))

    def _show(self, child: _Child, lines: list[bytes]) -> None:
        for line in lines:
            child.log.write(line)
            if child.program.in_terminal:
                self.terminal.line(child.program.name, line)

    def _say(self, text: str) -> None:
        self.terminal.line("orchestrator", text.encode())

    def _reap(self) -> None:
        changed = False
        for child in self._children.values():
            if child.process is None:
                continue
            status = child.process.poll()
            if status is not None:
                self._close(child)
                self._plan(child, status)
                changed = True
        if changed and not self._stopping:
            self._on_change()

    def _close(self, child: _Child) -> None:
        """Take the last lines of a process that ended, and kill what it left behind."""
        process = child.process
        if process is None:
            return
        kill_rest(child.program, process.pid)
        if process.stdout is not None:
            while data := _read_rest(process.stdout.fileno()):
                self._show(child, child.lines.feed(data))
            self._show(child, child.lines.flush())
            if process.stdout in {key.fileobj for key in self._selector.get_map().values()}:
                self._selector.unregister(process.stdout)
            process.stdout.close()
        self._warden.forget(process.pid)
        child.process = None

    def _plan(self, child: _Child, status: int) -> None:
        """Decide whether and when a program that ended is started again."""
        if self._stopping:
            return
        name = child.program.name
        if status == 0 and child.program.may_leave:
            self._say(f"{name} has left")
            return
        if time.monotonic() - child.started_at >= SETTLED_SECONDS:
            child.failures = 0
        child.failures += 1
        wait = backoff_seconds(child.failures)
        child.due_at = time.monotonic() + wait
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        self._say(f"{name} {how}; it is started again in {wait:g} s")

    def _start_due(self) -> None:
        now = time.monotonic()
        due = [child for child in self._children.values() if child.due_at is not None and child.due_at <= now]
        for child in due:
            self._spawn(child)
        if due and not self._stopping:
            self._on_change()

    def _until_next(self, seconds: float) -> float:
        now = time.monotonic()
        waits = [child.due_at - now for child in self._children.values() if child.due_at is not None]
        return max(0.0, min([seconds, *waits]))

    def _watch_terminal(self) -> None:
        descriptor = self.terminal.descriptor
        watched = descriptor in self._selector.get_map()
        if self.terminal.waiting and not watched:
            self._selector.register(descriptor, selectors.EVENT_WRITE, None)
        elif watched and not self.terminal.waiting:
            self._selector.unregister(descriptor)

    def _flush_terminal(self) -> None:
        """Show what is still to be shown, for a moment at most."""
        deadline = time.monotonic() + 0.2
        poll = selectors.PollSelector()
        poll.register(self.terminal.descriptor, selectors.EVENT_WRITE)
        while self.terminal.waiting and time.monotonic() < deadline:
            if poll.select(0.05):
                self.terminal.write_some()
        poll.close()

    def _drain_wakeups(self) -> None:
        try:
            while self._woken.recv(READ_BYTES):
                continue
        except BlockingIOError:
            return

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_asked += 1

    def _explain(self, what: str, name: str) -> str:
        lines = "\n".join(f"  {line}" for line in self.tail(name)[-12:])
        return f"{what}; its last lines:\n{lines}" if lines else f"{what}, and wrote nothing"


def _read_rest(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, READ_BYTES)
    except BlockingIOError:
        return b""
