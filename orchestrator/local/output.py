"""Where the children's lines go: bounded files, and a terminal that may be slow or gone."""

from __future__ import annotations

import os
import selectors
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

FILE_LIMIT_BYTES = 8 * 1024 * 1024
LINE_LIMIT_BYTES = 16 * 1024
PENDING_LIMIT_LINES = 5_000
CHUNK_BYTES = 4096
"""What a pipe takes without blocking once it says it is writable (PIPE_BUF)."""
FLUSH_SECONDS = 0.2
TAIL_LINES = 40
COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


class LogFile:
    """A file that never grows past a limit: then it becomes `<name>.1` and a new one begins."""

    def __init__(self, path: Path, *, limit_bytes: int = FILE_LIMIT_BYTES) -> None:
        self._path = path
        self._limit = limit_bytes
        self._file = self._open()
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)

    def write(self, line: bytes) -> None:
        """Add one line. A full disk loses the line, not the stack."""
        self.tail.append(line.decode(errors="replace"))
        try:
            self._file.write(line + b"\n")
            self._file.flush()
            if self._file.tell() > self._limit:
                self._file.close()
                self._path.replace(self._path.with_name(self._path.name + ".1"))
                self._file = self._open()
        except OSError:
            return

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _open(self) -> BinaryIO:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return os.fdopen(descriptor, "ab")


class LineSplitter:
    """Cuts a stream of bytes into lines; one that is too long is cut into several."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are complete now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_LIMIT_BYTES:
            lines.append(self._rest)
            self._rest = b""
        return [line[start : start + LINE_LIMIT_BYTES] for line in lines for start in _starts(line)]

    def flush(self) -> list[bytes]:
        """Return what was begun and will not be ended."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


def _starts(line: bytes) -> range:
    return range(0, max(1, len(line)), LINE_LIMIT_BYTES)


class Terminal:
    """Standard output that is never waited for: what it does not take in time is dropped, and counted."""

    def __init__(self, descriptor: int = 1) -> None:
        self.descriptor = descriptor
        self.gone = False
        self.coloured = os.isatty(descriptor)
        self._pending: deque[bytes] = deque()
        self._dropped = 0
        self._colours: dict[str, int] = {}

    @property
    def waiting(self) -> bool:
        """Whether there is something to write."""
        return bool(self._pending) and not self.gone

    def line(self, name: str, line: bytes) -> None:
        """Show a line of a process, after its name."""
        self._add(self._prefix(name) + line + b"\n")

    def text(self, text: str) -> None:
        """Show text as it is."""
        for line in text.splitlines(keepends=True):
            self._add(line.encode(errors="replace"))

    def write_some(self) -> None:
        """Write what goes in one piece; call it when the descriptor is writable."""
        data = bytearray()
        while self._pending and len(data) + len(self._pending[0]) <= CHUNK_BYTES:
            data += self._pending.popleft()
        if not data and self._pending:
            line = self._pending.popleft()
            data += line[:CHUNK_BYTES]
            if len(line) > CHUNK_BYTES:
                self._pending.appendleft(line[CHUNK_BYTES:])
        try:
            os.write(self.descriptor, data)
        except BlockingIOError:
            self._pending.appendleft(bytes(data))
        except OSError:
            self.gone = True
            self._pending.clear()

    def flush(self) -> None:
        """Show what is still to be shown, for a moment at most."""
        deadline = time.monotonic() + FLUSH_SECONDS
        with selectors.PollSelector() as poll:
            poll.register(self.descriptor, selectors.EVENT_WRITE)
            while self.waiting and time.monotonic() < deadline:
                if poll.select(FLUSH_SECONDS / 4):
                    self.write_some()

    def _add(self, data: bytes) -> None:
        if self.gone:
            return
        if len(self._pending) >= PENDING_LIMIT_LINES:
            self._dropped += 1
            return
        if self._dropped:
            self._pending.append(
                f"… {self._dropped} lines were not shown; the log files have them\n".encode()
            )
            self._dropped = 0
        self._pending.append(data)

    def _prefix(self, name: str) -> bytes:
        label = f"{name:<12} | "
        if not self.coloured:
            return label.encode()
        colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        return f"\x1b[{colour}m{label}\x1b[0m".encode()


def width() -> int:
    """Return how many columns the terminal has, 100 where there is none."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return 100
