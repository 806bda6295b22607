from __future__ import annotations

import uuid

import pytest

from orchestrator.tasks.ids import celery_id, new_task_id, new_token, parse_celery_id
from orchestrator.tasks.routing import Band, band_of, list_key, private_queue, queue_of


def test_task_ids_are_uuid7_in_the_order_of_their_making() -> None:
    ids = [new_task_id() for _ in range(1_000)]

    assert ids == sorted(ids)
    assert {(one.version, one.variant) for one in ids} == {(7, uuid.RFC_4122)}
    assert len({new_token() for _ in range(1_000)}) == 1_000


def test_a_celery_id_names_task_and_delivery() -> None:
    task_id = str(new_task_id())

    assert parse_celery_id(celery_id(task_id, 12)) == (task_id, 12)


@pytest.mark.parametrize(
    "text", ["", "x", "1.2", ".1", f"{uuid.UUID(int=5)}", f"{uuid.UUID(int=5)}.-1", f"{uuid.UUID(int=5)}.²"]
)
def test_a_strange_id_is_none_of_ours(text: str) -> None:
    assert parse_celery_id(text) is None


@pytest.mark.parametrize(
    ("priorities", "band"),
    [(range(1, 5), Band.LOW), (range(5, 10), Band.NORMAL), (range(10, 15), Band.HIGH), ([15], Band.CRITICAL)],
)
def test_priorities_fall_into_bands(priorities: list[int], band: Band) -> None:
    assert {band_of(priority) for priority in priorities} == {band}


def test_a_pinned_task_waits_in_its_agents_own_queue() -> None:
    assert queue_of("cost", "analyze", None) == "cost.analyze"
    assert queue_of("cost", "analyze", "cost-1") == private_queue("cost-1") == "agent.cost-1"
    assert [list_key("q", band) for band in Band] == ["q", "q:1", "q:2", "q:3"]
