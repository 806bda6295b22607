"""The `task` that a handler is given: who it is, how long it may take, and its voice to those who watch."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

MAX_LOG_LINES = 1000
"""Log lines of one task that the ledger keeps."""
MAX_LOG_BYTES = 2048
"""UTF-8 bytes of one log line or progress message."""


class Reporter(Protocol):
    """Carries progress and log lines away; never raises for a store that is away."""

    def progress(self, fraction: float, message: str) -> None:
        """Carry the newest progress."""

    def log(self, at_ms: int, message: str) -> None:
        """Carry one line, logged at `at_ms` (epoch milliseconds)."""


class _Silent:
    def progress(self, fraction: float, message: str) -> None:
        pass

    def log(self, at_ms: int, message: str) -> None:
        pass


@dataclass(frozen=True, slots=True)
class TaskContext:
    """One run of one task, as its handler sees it."""

    task_id: str
    attempt: int
    """1 for the first run of this series."""
    metadata: dict[str, Any]
    deadline: datetime
    """When the soft time limit strikes (UTC, this machine's clock)."""
    reporter: Reporter

    def progress(self, fraction: float, message: str = "") -> None:
        """Say how far the run is: `fraction` of 0 to 1, and a text of at most MAX_LOG_BYTES."""
        if not math.isfinite(fraction) or not 0 <= fraction <= 1:
            raise ValueError(f"progress takes a fraction of 0 to 1, not {fraction!r}")
        self.reporter.progress(float(fraction), clip(message))

    def log(self, message: str) -> None:
        """Keep a line with the task: MAX_LOG_LINES of at most MAX_LOG_BYTES each; later ones are counted."""
        self.reporter.log(int(time.time() * 1000), clip(message))

    @classmethod
    def offline(cls, timeout_seconds: float, metadata: dict[str, Any]) -> TaskContext:
        """Return a context without a server behind it."""
        deadline = datetime.now(UTC) + timedelta(seconds=timeout_seconds)
        return cls("offline", 1, metadata, deadline, _Silent())


def clip(message: object, limit_bytes: int = MAX_LOG_BYTES) -> str:
    """Return the text, cut to `limit_bytes` of UTF-8; NUL and lone surrogates become U+FFFD."""
    text = str(message).replace("\x00", "\ufffd")
    data = text.encode("utf-8", "replace")
    return (
        text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if len(data) <= limit_bytes
        else (data[:limit_bytes].decode("utf-8", "ignore"))
    )
