"""How far the recorder is, and whether that is far enough to decide on what the ledger shows."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from orchestrator.broker.stream import stream_order

if TYPE_CHECKING:
    from orchestrator.broker.stream import EventStream

log = structlog.get_logger(__name__)


class Progress:
    """How far the recorder has come, for those who may decide only on what it has caught up with."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._recorded = (0, 0)

    def reached(self, entry_id: str) -> None:
        """Everything up to this entry is in the ledger."""
        with self._condition:
            self._recorded = max(self._recorded, stream_order(entry_id))
            self._condition.notify_all()

    def restart(self) -> None:
        """Begin anew with a new stream, whose ids may be smaller than before."""
        with self._condition:
            self._recorded = (0, 0)

    def wait_for(self, entry_id: str, *, timeout_seconds: float) -> bool:
        """Wait until the recorder is past this entry; False if it is not in time."""
        target = stream_order(entry_id)
        with self._condition:
            return self._condition.wait_for(lambda: self._recorded >= target, timeout_seconds)


@dataclass
class Barrier:
    """Repairs decide only on rows read after the recorder has passed where the stream ended before.

    The end that was noted stays until it is passed: under a load that keeps the recorder behind, a newer one
    would always be out of reach, and nothing would ever be repaired or published.
    """

    stream: EventStream
    progress: Progress
    _end: str | None = None

    def passed(self, *, timeout_seconds: float) -> bool:
        """Wait until the recorder is past the end; False if it is not in time.

        Raises BrokerUnavailableError.
        """
        self._end = self._end or self.stream.tail()
        if self._end is None or self.progress.wait_for(self._end, timeout_seconds=timeout_seconds):
            self._end = None
            return True
        log.info("repairs_wait_for_recorder", end=self._end)
        return False

    def restart(self) -> None:
        """Forget the end: the stream may have begun anew."""
        self._end = None
