"""Ends what a stack leaves behind when the process that runs it is killed.

It is started first, in a session of its own, and reads what there is to watch from its standard input. When
that closes without a word of goodbye, whoever held the other end is dead, and the warden ends the rest: the
children mostly died with their parent already (PR_SET_PDEATHSIG), their own children may not have.

Runs as a plain file on the standard library alone, so that it costs little.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

SERVERS = ("postgres", "redis-server")
"""Programs that may be recognised by the folder they work in: they leave their session."""
GRACE_SECONDS = 3.0
"""How long a server has to end in its own way before it is killed."""
PROC = Path("/proc")


def session_members(session: int) -> set[int]:
    """Return the living processes of a session."""
    return {pid for pid in _pids() if _session_of(pid) == session}


def servers_in(folder: str) -> set[int]:
    """Return the living server processes whose working directory is `folder` or below it."""
    found = set()
    for pid in _pids():
        try:
            place = str((PROC / str(pid) / "cwd").readlink())
            name = (PROC / str(pid) / "comm").read_text().strip()
        except OSError:
            continue
        if (
            name in SERVERS
            and (place == folder or place.startswith(folder + "/"))
            and _session_of(pid) is not None
        ):
            found.add(pid)
    return found


def send(pids: set[int], number: int) -> None:
    """Send a signal to each of these processes that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def _pids() -> list[int]:
    return [int(entry.name) for entry in os.scandir(PROC) if entry.name.isdigit()]


def _session_of(pid: int) -> int | None:
    """Return the session of a process, None if it is gone or a zombie."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    state, _parent, _group, session = text.rpartition(")")[2].split()[:4]
    return None if state in "ZX" else int(session)


class Watch:
    """What has to end: sessions (each with the signal that asks it to), servers in folders, and files."""

    def __init__(self) -> None:
        self.sessions: dict[int, int] = {}
        self.folders: set[str] = set()
        self.files: set[str] = set()

    def learn(self, line: str) -> None:
        """Take one line: `session ID SIGNAL`, `gone ID`, `folder PATH` or `file PATH`."""
        match line.rstrip("\n").split(" ", 2):
            case ["session", number, signum]:
                self.sessions[int(number)] = int(signum)
            case ["gone", number]:
                self.sessions.pop(int(number), None)
            case ["folder", *rest]:
                self.folders.add(" ".join(rest))
            case ["file", *rest]:
                self.files.add(" ".join(rest))
            case _:
                return

    def remaining(self) -> dict[int, int]:
        """Return every living process that has to end, with the signal that asks it to."""
        found = {pid: number for session, number in self.sessions.items() for pid in session_members(session)}
        for folder in self.folders:
            for pid in servers_in(folder):
                found.setdefault(pid, signal.SIGQUIT)
        return found

    def end(self) -> None:
        """Remove the files, and end all the rest: ask once, and kill what is still there after the grace."""
        for file in self.files:
            Path(file).unlink(missing_ok=True)
        deadline = time.monotonic() + GRACE_SECONDS
        asked: set[int] = set()
        while left := self.remaining():
            late = time.monotonic() > deadline
            for pid, number in left.items():
                if late or pid not in asked:
                    send({pid}, signal.SIGKILL if late else number)
            asked |= set(left)
            time.sleep(0.02)


def main() -> None:
    """Watch until standard input closes, then end what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watch = Watch()
    for line in sys.stdin:
        if line == "bye\n":
            return
        watch.learn(line)
    watch.end()


if __name__ == "__main__":
    main()
