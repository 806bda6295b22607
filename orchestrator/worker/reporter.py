"""Progress and log lines on their way to Redis: bounded, batched, and never in a handler's way."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.context import MAX_LOG_LINES
from orchestrator.errors import BrokerUnavailableError

if TYPE_CHECKING:
    from orchestrator.worker.link import AgentLink, Run

FLUSH_SECONDS = 0.1
"""Lines and progress of one run go out at most so often; the first after a quiet time goes at once."""
MAX_BUFFERED_LINES = 100
AWAY_SECONDS = 5.0
"""After a failure nothing is sent for so long: a Redis that hangs must not hold up each line of a handler."""


@dataclass
class RunReporter:
    """The voice of one run; `lines_left` is what the task's earlier runs left of MAX_LOG_LINES."""

    link: AgentLink
    run: Run
    lines_left: int = MAX_LOG_LINES
    dropped: int = 0
    _dropped_at_ms: int = 0
    _lines: list[dict[str, Any]] = field(default_factory=list)
    _progress: dict[str, Any] | None = None
    _sent_at: float = 0.0
    _quiet_until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def progress(self, fraction: float, message: str) -> None:
        """Remember the newest progress and send it soon."""
        with self._lock:
            self._progress = {"fraction": fraction, "message": message}
        self.flush_if_due()

    def log(self, at_ms: int, message: str) -> None:
        """Keep a line, or count it where the task has had its share."""
        with self._lock:
            if self.lines_left <= 0:
                self.dropped += 1
                self._dropped_at_ms = at_ms
                return
            self.lines_left -= 1
            self._lines.append({"t": at_ms, "m": message})
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Send what has gathered, if the last time is long enough ago; keep it while Redis is away."""
        with self._lock:
            now = time.monotonic()
            due = now - self._sent_at >= FLUSH_SECONDS or len(self._lines) >= MAX_BUFFERED_LINES
            if not due or now < self._quiet_until or (not self._lines and self._progress is None):
                return
            self._sent_at = now
            try:
                self._send()
            except BrokerUnavailableError:
                self._quiet_until = time.monotonic() + AWAY_SECONDS

    def _send(self) -> None:
        if self._lines:
            lines, self._lines = self._lines, []
            try:
                self.link.tell(self.run, "log", json.dumps({"lines": lines}))
            except BrokerUnavailableError:
                self._lines = lines + self._lines
                raise
        if self._progress is not None:
            self.link.tell(self.run, "progress", json.dumps(self._progress))
            self._progress = None

    def leftover(self) -> dict[str, Any]:
        """Return what the outcome must carry: unsent lines and progress, and how many lines were dropped."""
        with self._lock:
            left: dict[str, Any] = {"lines": self._lines}
            if self.dropped:
                left |= {"dropped_log_lines": self.dropped, "dropped_at": self._dropped_at_ms}
            if self._progress is not None:
                left["progress"] = self._progress
            return left
