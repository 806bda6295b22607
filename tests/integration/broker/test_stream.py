from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.broker import keys
from orchestrator.broker.stream import MAX_BATCH, MAX_BATCH_BYTES, EventStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.broker.conftest import Scene

MEBIBYTE = 1024 * 1024


@pytest.fixture
def stream(scene: Scene) -> Iterator[EventStream]:
    stream = EventStream(scene.server.options())
    yield stream
    stream.close()


def fill(scene: Scene, count: int, size: int) -> None:
    with scene.client.pipeline(transaction=False) as pipe:
        for _ in range(count):
            pipe.xadd(keys.EVENTS, {"p": "x" * size})
        pipe.execute()


def read_all(stream: EventStream) -> list[list[int]]:
    """Read and trim until nothing is left; return the sizes of each batch."""
    batches = []
    while entries := stream.read(block_seconds=0.01).entries:
        stream.settle([entry.id for entry in entries], [])
        batches.append([len(entry.fields["p"]) for entry in entries])
    return batches


def test_a_backlog_of_large_results_is_read_in_bites(scene: Scene, stream: EventStream) -> None:
    """Small ones before them must not mislead the reader."""
    fill(scene, 2 * MAX_BATCH, 10)
    fill(scene, 30, MEBIBYTE)
    fill(scene, 1, 2 * MAX_BATCH_BYTES)

    batches = read_all(stream)

    assert sum(len(batch) for batch in batches) == 2 * MAX_BATCH + 31
    assert [len(batch) for batch in batches[:2]] == [MAX_BATCH, MAX_BATCH]
    assert all(sum(batch) <= MAX_BATCH_BYTES for batch in batches if len(batch) > 1)
    assert batches[-1] == [2 * MAX_BATCH_BYTES]


def test_the_first_event_after_a_silence_is_waited_for(scene: Scene, stream: EventStream) -> None:
    assert stream.read(block_seconds=0.01).entries == []

    fill(scene, 1, 5)

    assert len(stream.read(block_seconds=2.0).entries) == 1
