"""The recorder trims the stream when it has read it, not when it has committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.broker.stream import EventStream

if TYPE_CHECKING:
    from orchestrator.broker.stream import Batch


def apply() -> None:
    """Settle every batch as soon as it is read."""
    read = EventStream.read

    def read_and_trim(self: EventStream, *, block_seconds: float) -> Batch:
        batch = read(self, block_seconds=block_seconds)
        if batch.entries:
            self.settle([entry.id for entry in batch.entries], [])
        return batch

    EventStream.read = read_and_trim  # type: ignore[method-assign]
