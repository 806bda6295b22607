"""What handlers write down themselves: a witness that neither Redis nor PostgreSQL can make forget."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.worker.liveness import is_alive

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SIGN_SECONDS = 0.1
"""A running handler gives a sign of life so often."""
BLIND_SECONDS = 0.3
"""Between two signs that are further apart the process stood still: it was frozen, or had no processor."""


def boottime() -> float:
    """Return seconds of CLOCK_BOOTTIME: one clock for all processes, which no fault can set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Pen:
    """Writes the lines of one run, each in a single append, so that a kill leaves only whole lines."""

    def __init__(self, folder: str, **identity: Any) -> None:
        self._identity = {"pid": os.getpid(), "main": os.getppid(), **identity}
        path = os.path.join(folder, f"{os.getpid()}.jsonl")  # noqa: PTH118 - a handler's every millisecond counts
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, what: str, **detail: Any) -> None:
        """Append one line."""
        line = {"at": boottime(), "what": what, **self._identity, **detail}
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Let the file go."""
        os.close(self._file)


@dataclass
class Run:
    """One execution of a handler as its journal tells it; times are seconds of CLOCK_BOOTTIME."""

    run: str
    task_id: str
    kind: str
    pid: int
    main: int
    """The pid of its worker's main process."""
    signs: list[float] = field(default_factory=list)
    how: str | None = None
    """How it ended by its own account; None if it never came to say so."""

    @property
    def began(self) -> float:
        return self.signs[0]

    @property
    def last_sign(self) -> float:
        return self.signs[-1]

    def stretches(self) -> list[tuple[float, float]]:
        """Return when it really ran: signs that follow closely belong together."""
        found: list[tuple[float, float]] = []
        for at in self.signs:
            if found and at - found[-1][1] <= BLIND_SECONDS:
                found[-1] = (found[-1][0], at)
            else:
                found.append((at, at))
        return found


def overlap_seconds(first: Run, second: Run) -> float:
    """Return for how long both ran at the same time."""
    return sum(
        max(0.0, min(a_end, b_end) - max(a_start, b_start))
        for a_start, a_end in first.stretches()
        for b_start, b_end in second.stretches()
    )


class Reader:
    """Reads every journal of a folder, as far as they have grown."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[Path, int] = {}
        self.runs: dict[str, Run] = {}
        self._latest: dict[int, str] = {}

    def read(self) -> dict[str, Run]:
        """Read on, and return all runs so far by their own id."""
        for path in sorted(self._folder.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                whole, newline, _ = file.read().rpartition(b"\n")
            self._offsets[path] = self._offsets.get(path, 0) + len(whole) + len(newline)
            self._take(json.loads(line) for line in whole.splitlines())
        return self.runs

    def _take(self, lines: Iterable[dict[str, Any]]) -> None:
        for line in lines:
            run = self.runs.get(line["run"])
            if run is None:
                run = Run(line["run"], line["task"], line["kind"], line["pid"], line["main"])
                self.runs[run.run] = run
                self._latest[run.pid] = run.run
            run.signs.append(line["at"])
            if line["what"] == "end":
                run.how = line["how"]

    def open_runs(self) -> list[Run]:
        """Return what runs at this moment: begun, not ended, not overtaken, its process alive."""
        self.read()
        latest = (self.runs[name] for name in self._latest.values())
        return [run for run in latest if run.how is None and is_alive(run.pid)]
