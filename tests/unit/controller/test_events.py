from __future__ import annotations

from typing import Any

import pytest

from orchestrator.broker.stream import Entry, stream_order
from orchestrator.controller.events import BadEventError, EventType, parse

FIELDS = {
    "v": "1",
    "e": "completed",
    "id": "01234567-89ab-7def-8123-456789abcdef",
    "n": "2",
    "k": "token",
    "a": "probe-1",
    "i": "life",
    "t": "1000",
    "p": '{"result": 1}',
}


def read(**changes: Any) -> Any:
    return parse(Entry("5-1", {**FIELDS, **changes}), now_ms=3_500)


def test_an_entry_is_read_with_its_age() -> None:
    event = read()

    assert (event.type, str(event.task_id), event.delivery) == (EventType.COMPLETED, FIELDS["id"], 2)
    assert (event.seconds_ago, event.payload) == (2.5, {"result": 1})


def test_an_age_is_never_negative_and_a_missing_payload_is_empty() -> None:
    event = read(t="9000", p="")

    assert (event.seconds_ago, event.payload) == (0.0, {})


def test_an_agent_event_has_no_task() -> None:
    assert read(e="registered", id="", n="0").task_id is None


@pytest.mark.parametrize(
    "changes",
    [
        {"v": "2"},
        {"e": "exploded"},
        {"id": "x"},
        {"n": "two"},
        {"t": ""},
        {"p": "[1]"},
        {"p": "{"},
        {"p": "[" * 100_000},
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(changes: dict[str, str]) -> None:
    with pytest.raises(BadEventError, match=r".+"):
        read(**changes)


def test_stream_ids_sort_by_arrival() -> None:
    ids = ["10-2", "9-11", "10-10", "9-2"]

    assert sorted(ids, key=stream_order) == ["9-2", "9-11", "10-2", "10-10"]
