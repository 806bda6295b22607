"""What a publish answers, in each state that the task's key may be in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.broker import keys
from orchestrator.broker.gateway import Broker, Decision
from orchestrator.errors import BrokerUnavailableError
from tests.support.worker import publishable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.broker.conftest import Scene


def test_a_publish_writes_key_list_index_and_event(scene: Scene) -> None:
    item = publishable(priority=12)

    assert scene.broker.publish([item]) == ["QUEUED"]

    assert scene.key(item) == {"d": "1", "s": "queued", "q": "probe.echo:1"}
    assert scene.client.llen("probe.echo:1") == 1
    assert scene.client.zrange(keys.waiting_key("probe.echo:1"), 0, -1) == [str(item.id)]
    assert scene.client.smembers(keys.LISTS) == {"probe.echo:1"}
    assert scene.kinds(item) == ["queued"]
    assert scene.broker.depths(["probe.echo", "probe.other"]) == {"probe.echo": 1, "probe.other": 0}


def test_a_repeated_publish_changes_nothing(scene: Scene) -> None:
    item = publishable()
    scene.broker.publish([item])

    assert scene.broker.publish([item, item]) == ["ALREADY", "ALREADY"]

    assert scene.client.llen("probe.echo:2") == 1
    assert scene.kinds(item) == ["queued"]


def test_a_held_task_takes_no_publish_of_this_or_the_next_delivery(scene: Scene) -> None:
    item = publishable()
    scene.held(item, scene.link())

    assert scene.broker.publish([item, replace(item, delivery=2)]) == ["HELD", "HELD"]
    assert scene.client.llen("probe.echo:2") == 1  # the message of the claimed run, which nobody popped here


def test_a_reported_delivery_is_refused_and_the_next_is_taken(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    run = scene.held(item, link)
    link.report(run, "failed", "{}")

    assert scene.broker.publish([item]) == ["REFUSED"]
    assert scene.broker.publish([replace(item, delivery=2)]) == ["QUEUED"]
    assert scene.broker.publish([item]) == ["REFUSED"]


def test_a_taken_back_task_is_published_under_the_next_number_only(scene: Scene) -> None:
    item = publishable()
    scene.broker.publish([item])
    scene.broker.take_back([(str(item.id), 1, None)], decision=scene.broker.decided())

    assert scene.broker.publish([item]) == ["REFUSED"]
    assert scene.broker.publish([replace(item, delivery=2)]) == ["QUEUED"]
    assert scene.client.ttl(keys.task_key(str(item.id))) == -1


def test_a_later_delivery_takes_the_place_of_a_queued_one_in_the_index(scene: Scene) -> None:
    item = publishable()
    scene.broker.publish([item])

    assert scene.broker.publish([replace(item, delivery=2, priority=15)]) == ["QUEUED"]

    assert scene.broker.depths(["probe.echo"]) == {"probe.echo": 1}
    assert scene.client.zscore(keys.waiting_key("probe.echo"), str(item.id)) is not None


def test_a_cancelled_delivery_is_refused_and_its_replay_is_taken(scene: Scene) -> None:
    item = publishable()
    scene.broker.cancel(str(item.id), 1)

    assert scene.broker.publish([item]) == ["REFUSED"]
    assert scene.broker.publish([replace(item, delivery=2)]) == ["QUEUED"]


def test_a_publish_decided_too_long_ago_is_stale(scene: Scene) -> None:
    item = publishable()
    fresh = scene.broker.decided()

    answers = scene.broker.publish([item], decision=replace(fresh, at_ms=fresh.at_ms - 5_100))

    assert answers == ["STALE"]
    assert scene.key(item) == {}
    assert scene.broker.publish([item]) == ["QUEUED"]


def test_a_publish_decided_in_an_earlier_epoch_is_stale(scene: Scene) -> None:
    item = publishable()
    fresh = scene.broker.decided()

    assert scene.broker.publish([item], decision=Decision("another:epoch", fresh.at_ms)) == ["STALE"]
    assert scene.broker.publish([item]) == ["QUEUED"]


@pytest.mark.parametrize("epoch", [None, "3f2a:a-server-that-has-died"])
def test_without_a_blessed_epoch_everything_waits(scene: Scene, epoch: str | None) -> None:
    link, queued, held = scene.link(), publishable(), publishable()
    run = scene.held(held, link)
    scene.broker.publish([queued])
    scene.client.delete(keys.EPOCH)
    if epoch:
        scene.client.set(keys.EPOCH, epoch)

    assert scene.broker.publish([publishable()]) == ["WAIT"]
    assert scene.broker.cancel(str(queued.id), 1).outcome == "WAIT"
    assert (
        scene.broker.take_back([(str(queued.id), 1, None)], decision=scene.broker.decided())[0].outcome
        == "WAIT"
    )
    assert link.claim(run, pid=1) == ("WAIT", "epoch")
    assert link.report(run, "completed", "{}") == "WAIT"

    scene.server.bless()
    learns = scene.broker.publish([publishable()])
    assert learns in (["STALE"], ["QUEUED"])
    assert scene.broker.publish([publishable()]) == ["QUEUED"]
    assert link.report(run, "completed", "{}") == "ACCEPTED"


def test_a_full_list_takes_no_more_until_something_is_claimed(scene: Scene) -> None:
    broker = Broker(scene.server.options(queue_window=2))
    first, second, third = publishable(), publishable(), publishable()

    assert broker.publish([first, second, third]) == ["QUEUED", "QUEUED", "FULL"]
    assert scene.key(third) == {}
    scene.claimed(first, scene.link())
    assert broker.publish([third]) == ["QUEUED"]
    broker.close()


def test_more_than_a_chunk_is_published_in_order(scene: Scene) -> None:
    items = [publishable() for _ in range(1_050)]

    assert set(scene.broker.publish(items)) == {"QUEUED"}

    order = scene.client.zrange(keys.waiting_key("probe.echo:2"), 0, -1)
    assert order == [str(item.id) for item in items]


def test_scripts_that_redis_has_forgotten_are_loaded_again(scene: Scene) -> None:
    scene.broker.publish([publishable()])
    scene.client.script_flush()

    assert scene.broker.publish([publishable(), publishable()]) == ["QUEUED", "QUEUED"]
    scene.client.script_flush()
    assert scene.broker.cancel(str(publishable().id), 1).outcome == "ENDED"


@pytest.fixture
def fill(scene: Scene) -> Iterator[Callable[[], None]]:
    """Make Redis full, until the test ends."""
    yield lambda: scene.client.config_set("maxmemory", "1")
    scene.client.config_set("maxmemory", "0")


def test_a_full_redis_refuses_without_a_trace(scene: Scene, fill: Callable[[], None]) -> None:
    new, again = publishable(), publishable()
    scene.broker.publish([again])
    scene.broker.take_back([(str(again.id), 1, None)], decision=scene.broker.decided())
    fill()

    for item in (new, replace(again, delivery=2)):
        with pytest.raises(BrokerUnavailableError, match="refused a script"):
            scene.broker.publish([item])
        assert scene.broker.probe()

    assert scene.key(new) == {}
    assert scene.key(again) == {"d": "2", "s": "reserved"}
    scene.client.config_set("maxmemory", "0")
    assert scene.broker.publish([new, replace(again, delivery=2)]) == ["QUEUED", "QUEUED"]


def test_a_full_redis_still_takes_what_empties_it(scene: Scene, fill: Callable[[], None]) -> None:
    running, cancelled, taken, waiting, link = *(publishable() for _ in range(4)), scene.link()
    link.register({})
    runs = [scene.held(item, link) for item in (running, cancelled, taken)]
    scene.broker.publish([waiting])
    fill()

    assert link.beat(seq=1, status="healthy", running=3, load={}, tokens=[], held=runs).known
    run = scene.claimed(waiting, link)
    assert link.report(run, "completed", "{}") == "ACCEPTED"
    assert scene.broker.cancel(str(cancelled.id), 1).outcome == "MARKED"
    answers = scene.broker.take_back([(str(taken.id), 1, runs[2].token)], decision=scene.broker.decided())
    assert answers[0].outcome == "TAKEN"
    assert scene.kinds(waiting) == ["queued", "running", "completed"]
    link.leave()
