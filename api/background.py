"""What an API process does beside answering: it listens, keeps its memory fresh, and notices its end."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.parts import Parts

log = structlog.get_logger()

PULSE_SECONDS = 0.5
CATALOGUE_SECONDS = 5.0


class Background:
    """Two threads (greenlets under gevent).

    `is_stopping` is asked at every pulse; once true, held requests end.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._is_stopping: Callable[[], bool] | None = None
        self._stopped = threading.Event()
        self._catalogue_due = time.monotonic()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=f"api-{work.__name__}", daemon=True)
            for work in (self._listen, self._keep_fresh)
        ]

    def watch(self, is_stopping: Callable[[], bool]) -> None:
        """Ask this at every pulse; once it is true, held requests end with what is known."""
        self._is_stopping = is_stopping

    def start(self) -> None:
        """Start both."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, within_seconds: float = 3.0) -> None:
        """Let held requests end with what is known, and both threads with them."""
        self._stopped.set()
        self._parts.waiters.stop()
        for thread in self._threads:
            thread.join(within_seconds)

    def pulse(self) -> None:
        """Ask a broker that is away for a sign of life; read the catalogue again when that is due."""
        if not self._parts.broker.available:
            self._parts.broker.probe()
        if time.monotonic() >= self._catalogue_due:
            self._catalogue_due = time.monotonic() + CATALOGUE_SECONDS
            self._parts.catalogue.refresh()

    def _listen(self) -> None:
        announcements = self._parts.broker.announcements()
        try:
            self._parts.waiters.listen(announcements)
        finally:
            announcements.close()

    def _keep_fresh(self) -> None:
        self._parts.broker.probe()
        while not self._stopped.is_set():
            try:
                self.pulse()
            except OrchestratorError as error:
                log.info("background_pulse_failed", reason=str(error))
            if self._is_stopping is not None and self._is_stopping():
                self._parts.waiters.stop()
            self._stopped.wait(PULSE_SECONDS)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Begin the work again if it breaks off: a process without it would hold every wait to its end."""
        while not self._stopped.is_set():
            try:
                work()
            except Exception:
                log.exception("background_broke_off", work=work.__name__)
                self._stopped.wait(PULSE_SECONDS)
            else:
                return
