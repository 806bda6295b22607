"""What was popped from a list and never claimed is found, and nothing else."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.support.worker import publishable

if TYPE_CHECKING:
    from tests.integration.broker.conftest import Scene

LIST = "probe.echo:2"


def publish(scene: Scene, count: int) -> list[str]:
    items = [publishable() for _ in range(count)]
    assert set(scene.broker.publish(items)) == {"QUEUED"}
    return [str(item.id) for item in items]


def test_nothing_is_lost_while_messages_lie_in_order(scene: Scene) -> None:
    publish(scene, 5)

    assert scene.inspector.lost_messages() == set()


def test_the_popped_one_is_lost(scene: Scene) -> None:
    first, *_ = publish(scene, 3)
    scene.client.rpop(LIST)

    assert scene.inspector.lost_messages() == {first}


def test_all_that_wait_are_lost_where_the_list_is_empty(scene: Scene) -> None:
    ids = publish(scene, 3)
    scene.client.delete(LIST)

    assert scene.inspector.lost_messages() == set(ids)


def test_a_claimed_one_is_not_lost(scene: Scene) -> None:
    item = publishable()
    scene.held(item, scene.link())
    scene.client.rpop(LIST)

    assert scene.inspector.lost_messages() == set()


def test_stale_messages_at_the_head_are_dropped(scene: Scene) -> None:
    cancelled, moved, waiting = items = [publishable() for _ in range(3)]
    scene.broker.publish(items)
    scene.broker.cancel(str(cancelled.id), 1)
    scene.broker.take_back([(str(moved.id), 1, None)], decision=scene.broker.decided())
    scene.broker.publish([replace(moved, delivery=2)])

    assert scene.inspector.lost_messages() == set()

    heads = [json.loads(text)["headers"]["id"] for text in scene.client.lrange(LIST, 0, -1)]
    assert heads == [f"{moved.id}.2", f"{waiting.id}.1"]


def test_a_lost_one_behind_a_stale_head_is_found(scene: Scene) -> None:
    cancelled, lost, _ = items = [publishable() for _ in range(3)]
    scene.broker.publish(items)
    scene.client.lrem(LIST, 1, scene.client.lindex(LIST, -2))
    scene.broker.cancel(str(cancelled.id), 1)

    assert scene.inspector.lost_messages() == {str(lost.id)}


def test_a_hundred_lost_of_many_are_found_exactly(scene: Scene) -> None:
    ids = publish(scene, 5_000)
    lost = set(ids[:100])
    for _ in range(100):
        scene.client.rpop(LIST)

    assert scene.inspector.lost_messages() == lost


def test_those_lost_amid_a_list_are_found_as_their_neighbours_reach_the_head(scene: Scene) -> None:
    ids = publish(scene, 300)
    messages = scene.client.lrange(LIST, 0, -1)
    lost = random.Random(4).sample(range(100, 200), 20)
    for index in lost:
        scene.client.lrem(LIST, 1, messages[len(ids) - 1 - index])
    assert scene.inspector.lost_messages() == set()

    for _ in range(200 - 20):
        scene.client.rpop(LIST)
    found = scene.inspector.lost_messages()

    assert found == set(ids[:200])


def test_a_foreign_message_at_the_head_stops_the_search_and_stays(scene: Scene) -> None:
    publish(scene, 2)
    scene.client.rpush(LIST, "no message of ours")

    assert scene.inspector.lost_messages() == set()
    assert scene.client.llen(LIST) == 3


def test_each_list_is_searched(scene: Scene) -> None:
    low, pinned = publishable(priority=1), publishable(pinned_agent_id="probe-7")
    scene.broker.publish([low, pinned])
    scene.client.delete("probe.echo:3", "agent.probe-7:2")

    assert scene.inspector.lost_messages() == {str(low.id), str(pinned.id)}
