"""Keeps programs running: starts, watches, starts again, stops. One thread, one loop.

A program that ends is started again after a second, then after twice as long, up to a bound; the others
go on.
"""

from __future__ import annotations

import selectors
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Self

from orchestrator.local.child import Child
from orchestrator.local.errors import StackError, StopRequested
from orchestrator.local.processes import kill_rest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from types import FrameType

    from orchestrator.local.output import Terminal
    from orchestrator.local.processes import Program, Warden

WAKEUP_BYTES = 4096
POLL_SECONDS = 0.05
KILL_SECONDS = 1.0
CANNOT_START = 127
"""The status that a shell gives a program that cannot be started."""
FAILURES_AT_START = 3
"""Ends of one program during the start after which the start is given up."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """The programs of one stack. Use it from the main thread only, as a context manager."""

    def __init__(
        self, *, logs: Path, warden: Warden, terminal: Terminal, on_change: Callable[[], None]
    ) -> None:
        self.terminal = terminal
        self._logs = logs
        self._warden = warden
        self._on_change = on_change
        self._children: dict[str, Child] = {}
        self._selector = selectors.PollSelector()
        self._wake, self._woken = socket.socketpair()
        self._stop_asked = 0
        self._stopping = False

    def __enter__(self) -> Self:
        for end in (self._wake, self._woken):
            end.settimeout(0)
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
        self.terminal.flush()
        self._selector.close()
        self._wake.close()
        self._woken.close()
        for child in self._children.values():
            child.log.close()

    def start(self, program: Program) -> None:
        """Start a program and keep it running."""
        child = Child(program, self._logs, self.terminal)
        self._children[program.name] = child
        self._start(child)

    def pids(self) -> dict[str, int]:
        """Return the process id of every program that runs now."""
        return {
            name: child.process.pid for name, child in self._children.items() if child.process is not None
        }

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
            elif not key.data.read():
                self._selector.unregister(key.fileobj)
        changed = self._reap()
        changed |= self._start_due()
        if changed and not self._stopping:
            self._on_change()

    def wait_for(self, ready: Callable[[], bool], *, within: float, what: str) -> None:
        """Go on until `ready`. Raises StackError when it takes too long or a program keeps dying."""
        deadline = time.monotonic() + within
        while not ready():
            for child in self._children.values():
                if child.failures >= FAILURES_AT_START:
                    raise StackError(child.explain(f"{child.name} does not start"))
            if time.monotonic() > deadline:
                raise StackError(f"{what}: not within {within:g} s; see the files in {self._logs}")
            self.step(POLL_SECONDS)

    def run_to_end(self, program: Program, *, within: float) -> None:
        """Run a program that is to run `once`.

        Raises StackError with its last lines when it fails or takes too long.
        """
        self.start(program)
        child = self._children[program.name]
        deadline = time.monotonic() + within
        while child.process is not None:
            if time.monotonic() > deadline:
                raise StackError(child.explain(f"{program.name} takes longer than {within:g} s"))
            self.step(POLL_SECONDS)
        if child.last_status:
            raise StackError(child.explain(f"{program.name} failed"))
        child.log.close()
        del self._children[program.name]

    def stop(self, stages: Sequence[tuple[Iterable[str], float]]) -> None:
        """Stop the programs stage by stage; who is late has until the last stage, then it is killed.

        The next stage begins when all have ended, or when the seconds of this one are over. Asked to stop
        once more meanwhile, it kills at once.
        """
        self._stopping = True
        patience = max(1, self._stop_asked)
        for child in self._children.values():
            child.due_at = None
        asked: list[Child] = []
        for number, (names, seconds) in enumerate(stages, start=1):
            if number == len(stages):
                self._kill(asked)
            stage = [self._children[name] for name in names if name in self._children]
            asked += stage
            for child in stage:
                if child.process is not None:
                    child.process.send_signal(child.program.stop_signal)
            deadline = time.monotonic() + seconds
            while _any_runs(asked) and time.monotonic() < deadline and self._stop_asked <= patience:
                self.step(POLL_SECONDS)
        self._kill(list(self._children.values()))

    def _kill(self, children: list[Child]) -> None:
        for child in children:
            if child.process is not None:
                self.terminal.line("orchestrator", f"{child.name} did not stop in time: killed".encode())
                kill_rest(child.program, child.process.pid)
        deadline = time.monotonic() + KILL_SECONDS
        while _any_runs(children) and time.monotonic() < deadline:
            self.step(POLL_SECONDS)

    def _start(self, child: Child) -> None:
        try:
            process = child.start()
        except (OSError, subprocess.SubprocessError) as error:
            self.terminal.line("orchestrator", f"{child.name} cannot be started: {error}".encode())
            child.plan(CANNOT_START)
            return
        self._warden.watch(child.program, process.pid)
        if process.stdout is not None:
            self._selector.register(process.stdout, selectors.EVENT_READ, child)

    def _close(self, child: Child) -> None:
        if child.process is None:
            return
        output, pid = child.process.stdout, child.process.pid
        if output is not None and output in self._selector.get_map():
            self._selector.unregister(output)
        child.close()
        self._warden.forget(pid)

    def _reap(self) -> bool:
        ended = [
            (child, child.process.returncode)
            for child in self._children.values()
            if child.process is not None and child.process.poll() is not None
        ]
        for child, status in ended:
            self._close(child)
            if not self._stopping and (news := child.plan(status)):
                self.terminal.line("orchestrator", news.encode())
        return bool(ended)

    def _start_due(self) -> bool:
        now = time.monotonic()
        due = [child for child in self._children.values() if child.due_at is not None and child.due_at <= now]
        for child in due:
            self._start(child)
        return bool(due)

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

    def _drain_wakeups(self) -> None:
        try:
            while self._woken.recv(WAKEUP_BYTES):
                continue
        except BlockingIOError:
            return

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_asked += 1


def _any_runs(children: Iterable[Child]) -> bool:
    return any(child.process is not None for child in children)
