"""No call waits without a bound, and each knows which server it speaks to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from orchestrator.broker import keys
from orchestrator.broker.announcements import announce
from orchestrator.broker.connection import RUN_ID, ServerClock, connect
from orchestrator.broker.gateway import Broker
from orchestrator.broker.options import BrokerOptions
from orchestrator.broker.stream import EventStream
from orchestrator.errors import BrokerUnavailableError
from tests.integration.broker.conftest import run_of
from tests.support.waiting import wait_for
from tests.support.worker import publishable

if TYPE_CHECKING:
    from tests.integration.broker.conftest import Scene
    from tests.support.redis import RedisServer


def test_the_run_id_is_that_of_the_server_after_a_restart(own_scene: Scene) -> None:
    client = connect(own_scene.server.options(), ServerClock())

    def said() -> tuple[str, str]:
        return client.execute_command("ECHO", RUN_ID), own_scene.inspector.epoch().run_id

    before, real_before = said()
    own_scene.server.kill()
    own_scene.server.start()
    wait_for(own_scene.broker.probe)
    try:
        after, real_after = said()
    except Exception:  # noqa: BLE001 - the first call may find its connection broken; the second may not
        after, real_after = said()

    assert before == real_before
    assert after == real_after != before
    client.close()


@pytest.mark.parametrize("size", [1, 5])
def test_no_call_is_granted_by_a_server_that_restarted_between_two_calls(own_scene: Scene, size: int) -> None:
    items, link = [publishable() for _ in range(size)], own_scene.link()
    runs = [own_scene.held(item, link) for item in items]
    wait_for(lambda: int(own_scene.client.info("persistence")["aof_pending_bio_fsync"]) == 0)
    own_scene.server.kill()
    own_scene.server.start()
    wait_for(own_scene.broker.probe)

    answers = set(own_scene.broker.publish([publishable() for _ in range(size)]))

    assert answers == {"WAIT"}
    assert own_scene.broker.cancel(str(items[0].id), 1).outcome == "WAIT"
    try:
        assert link.report(runs[0], "completed", "{}") == "WAIT"
    except BrokerUnavailableError:
        assert link.report(runs[0], "completed", "{}") == "WAIT"
    own_scene.server.bless()
    assert link.report(runs[0], "completed", "{}") == "ACCEPTED"
    assert link.beat(seq=1, status="healthy", running=0, load={}, tokens=[], held=[]).known is False


def test_every_call_ends_in_time_while_redis_stands_still(own_scene: Scene) -> None:
    broker, item = own_scene.broker, publishable()
    broker.publish([publishable()])
    link = own_scene.link()
    own_scene.server.freeze()
    try:
        started = time.monotonic()
        with pytest.raises(BrokerUnavailableError):
            broker.publish([item])
        first = time.monotonic() - started
        assert not broker.available
        with pytest.raises(BrokerUnavailableError, match="known to be away"):
            broker.publish([item])
        second = time.monotonic() - started - first
        assert not broker.probe()
        with pytest.raises(BrokerUnavailableError):
            broker.cancel(str(item.id), 1)
        with pytest.raises(BrokerUnavailableError):
            broker.agents()
    finally:
        own_scene.server.thaw()

    assert first < 1.5
    assert second < 0.1
    wait_for(broker.probe)
    assert broker.publish([item]) in (["QUEUED"], ["ALREADY"])
    assert link.claim(run_of(item), pid=1)[0] == "GRANTED"


def test_nothing_is_sent_twice_where_an_answer_is_late(own_scene: Scene) -> None:
    item = publishable()
    own_scene.broker.publish([publishable()])
    own_scene.server.freeze()
    try:
        with pytest.raises(BrokerUnavailableError):
            own_scene.broker.publish([item])
    finally:
        own_scene.server.thaw()
    wait_for(own_scene.broker.probe)
    wait_for(lambda: own_scene.kinds(item) == ["queued"])

    assert own_scene.broker.publish([item]) == ["ALREADY"]
    assert own_scene.client.llen("probe.echo:2") == 2


def test_a_server_that_is_not_there_is_said_at_once(redis_server: RedisServer) -> None:
    broker = Broker(BrokerOptions(redis_url="redis://127.0.0.1:1/0"))
    started = time.monotonic()

    assert not broker.probe()
    with pytest.raises(BrokerUnavailableError):
        broker.publish([publishable()])

    assert time.monotonic() - started < 1
    broker.close()


def test_redis_is_reached_through_a_unix_socket(scene: Scene) -> None:
    broker = Broker(BrokerOptions(redis_url=scene.server.socket_url))

    assert broker.publish([publishable()]) == ["QUEUED"]
    assert 0 < broker.ping() < 1
    broker.close()


def test_a_wrong_password_is_no_endless_wait(scene: Scene) -> None:
    broker = Broker(BrokerOptions(redis_url=f"redis://:wrong@127.0.0.1:{scene.server.port}/0"))

    assert not broker.probe()
    broker.close()


def test_the_stream_is_read_again_until_it_is_settled(own_scene: Scene) -> None:
    stream = EventStream(own_scene.server.options())
    own_scene.broker.publish([publishable(), publishable()])

    first, second = (stream.read(block_seconds=0.1) for _ in range(2))
    assert [entry.id for entry in first.entries] == [entry.id for entry in second.entries]
    assert first.stream == second.stream
    stream.settle([entry.id for entry in first.entries[:1]], [])
    assert len(stream.read(block_seconds=0.1).entries) == 1

    own_scene.client.flushall()
    assert stream.read(block_seconds=0.05).stream != first.stream
    own_scene.server.kill()
    with pytest.raises(BrokerUnavailableError):
        stream.read(block_seconds=0.05)
    stream.close()


def test_listeners_hear_who_ended_and_read_all_again_after_a_gap(own_scene: Scene) -> None:
    listener = own_scene.broker.announcements()
    first = listener.next(2.0)
    assert first is not None
    assert first.reread_all
    announce(own_scene.client, [f"id-{number}" for number in range(1_200)])
    heard: set[str] = set()
    while len(heard) < 1_200:
        announcement = listener.next(2.0)
        assert announcement is not None
        heard |= announcement.ids
    assert listener.next(0.05) is None

    own_scene.server.kill()
    with pytest.raises(BrokerUnavailableError):
        wait_for(lambda: listener.next(0.1))
    own_scene.server.start()
    again = wait_for(lambda: listener.next(1.0))
    assert again is not None
    assert again.reread_all
    announce(own_scene.client, [], reread_all=True)
    told = listener.next(2.0)
    assert told is not None
    assert told.reread_all
    listener.close()


def test_the_controllers_report_is_read_back(scene: Scene) -> None:
    assert scene.broker.controller_report() is None
    scene.inspector.write_report({"holder": "me"})

    assert scene.broker.controller_report() == {"holder": "me"}
    assert scene.client.ttl(keys.CONTROLLER) > 0
    assert scene.broker.stream_length() == scene.inspector.backlog() == 0
