"""One child process: what it is, how it is started, and that it dies with us."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.local import warden

if TYPE_CHECKING:
    from collections.abc import Mapping

PR_SET_PDEATHSIG = 1
KILL_SECONDS, KILL_LOOK_SECONDS = 1.0, 0.005


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine as which a program runs."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Program:
    """A program to keep running."""

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    cwd: Path
    account: Account | None = None
    pass_fds: tuple[int, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    """Sent by the kernel when the process that started it dies."""
    may_leave: bool = False
    """Whether an end with status 0 was ordered by somebody, so that it is not started again."""
    folder: Path | None = None
    """Where it works, if its children leave its session; nobody else's servers work there."""
    once: bool = False
    """Whether it is to be run once, to its end."""
    in_terminal: bool = True


def spawn(program: Program) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, its output in one pipe. Call it from the main thread only.

    The kernel ends the child when the *thread* that started it ends, so no other thread may do it.
    """
    account: dict[str, Any] = {}
    if program.account is not None:
        account = {"user": program.account.uid, "group": program.account.gid, "extra_groups": []}
    library, parent, number = _libc(), os.getpid(), int(program.death_signal)

    def die_with_parent() -> None:
        library.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(
        program.argv,
        env=dict(program.environ),
        cwd=program.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=program.pass_fds,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - the parent has no other thread that could hold a lock
        **account,
    )


def kill_rest(program: Program, pid: int) -> None:
    """Kill what a program left behind, its session and servers that work in its folder, and see it gone."""
    deadline = time.monotonic() + KILL_SECONDS
    while time.monotonic() < deadline:
        left = warden.session_members(pid)
        if program.folder is not None:
            left |= warden.servers_in(str(program.folder))
        if not left:
            return
        warden.send(left, signal.SIGKILL)
        time.sleep(KILL_LOOK_SECONDS)


class Warden:
    """Our end of the process that ends the rest, and removes a file, if we are killed.

    It holds `hold_fd` open till then.
    """

    def __init__(self, *, hold_fd: int, remove: Path, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(Path(warden.__file__))],
            env=dict(environ),
            cwd="/",
            stdin=subprocess.PIPE,
            start_new_session=True,
            pass_fds=(hold_fd,),
        )
        self._tell(f"file {remove}")

    def watch(self, program: Program, pid: int) -> None:
        """Have this program ended, should we die."""
        if program.folder is not None:
            self._tell(f"folder {program.folder}")
        self._tell(f"session {pid} {int(program.death_signal)}")

    def forget(self, pid: int) -> None:
        """Leave this program alone: it has ended."""
        self._tell(f"gone {pid}")

    def dismiss(self) -> None:
        """Send it away: everything has ended."""
        self._tell("bye")
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=5)

    def _tell(self, line: str) -> None:
        if self._process.stdin is None or self._process.poll() is not None:
            return
        try:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            return


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
