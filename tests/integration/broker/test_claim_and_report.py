"""Who may run a delivery, and whose outcome counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.broker import keys, scripts
from orchestrator.broker.scripts import Call
from orchestrator.broker.stream import ENDED_KEY_SECONDS, EventStream
from tests.integration.broker.conftest import run_of
from tests.support.worker import publishable

if TYPE_CHECKING:
    from tests.integration.broker.conftest import Scene


def test_a_queued_delivery_is_granted_to_one_token(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    scene.broker.publish([item])
    first, second = run_of(item), run_of(item)

    assert link.claim(first, pid=41) == ("GRANTED", "")
    assert link.claim(second, pid=42) == ("REFUSED", "held")

    running = scene.events(item)[-1]
    assert (running["e"], running["k"], running["a"], running["i"]) == (
        "running",
        first.token,
        "probe-1",
        "life-1",
    )
    assert running["p"] == {"pid": 41}
    assert scene.broker.depths(["probe.echo"]) == {"probe.echo": 0}


def test_a_repeated_claim_is_granted_again_and_told_once(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    run = scene.held(item, link)

    assert link.claim(run, pid=1) == ("GRANTED", "")
    assert scene.kinds(item) == ["queued", "running"]


def test_a_claim_is_refused_where_there_is_no_key(scene: Scene) -> None:
    assert scene.link().claim(run_of(publishable()), pid=1) == ("REFUSED", "no such delivery")


def test_a_claim_of_another_delivery_is_refused(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    scene.broker.publish([replace(item, delivery=2)])

    assert link.claim(run_of(item), pid=1) == ("REFUSED", "another delivery")
    assert link.claim(run_of(replace(item, delivery=3)), pid=1) == ("REFUSED", "another delivery")


def test_a_claim_of_what_was_cancelled_or_taken_back_is_refused(scene: Scene) -> None:
    cancelled, taken, link = publishable(), publishable(), scene.link()
    scene.broker.publish([cancelled, taken])
    scene.broker.cancel(str(cancelled.id), 1)
    scene.broker.take_back([(str(taken.id), 1, None)], decision=scene.broker.decided())

    assert link.claim(run_of(cancelled), pid=1) == ("REFUSED", "ended")
    assert link.claim(run_of(taken), pid=1) == ("REFUSED", "another delivery")


def test_no_task_is_taken_while_too_many_events_wait(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    scene.broker.publish([item])
    names = [keys.task_key(str(item.id)), keys.EVENTS]
    greatest_backlog = 0
    arguments = [str(item.id), 1, "token", "probe-1", "life-1", "{}", greatest_backlog]

    answer = scripts.run(scene.broker.client, Call(scripts.load("claim"), names, arguments))

    assert answer == ["WAIT", "event_backlog"]
    assert link.claim(run_of(item), pid=1)[0] == "GRANTED"


def test_the_holder_s_outcome_is_accepted_once(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    run = scene.held(item, link)

    assert link.report(run, "completed", '{"result": 1}') == "ACCEPTED"
    assert link.report(run, "completed", '{"result": 1}') == "ACCEPTED"

    assert scene.kinds(item) == ["queued", "running", "completed"]
    assert scene.client.ttl(keys.task_key(str(item.id))) == -1


def test_an_outcome_of_another_token_is_refused(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    scene.held(item, link)

    assert link.report(run_of(item), "completed", "{}") == "REFUSED"
    assert scene.kinds(item) == ["queued", "running"]


def test_an_outcome_of_an_earlier_delivery_is_refused(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    run = scene.held(item, link)
    decision = scene.broker.decided()
    scene.broker.take_back([(run.task_id, 1, run.token)], decision=decision)

    assert link.report(run, "completed", "{}") == "REFUSED"
    scene.broker.publish([replace(item, delivery=2)])
    assert link.report(run, "completed", "{}") == "REFUSED"


def test_an_outcome_whose_key_redis_forgot_is_accepted_for_the_ledger_to_judge(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    run = scene.held(item, link)
    scene.client.delete(keys.task_key(run.task_id))

    assert link.report(run, "completed", '{"result": 2}') == "ACCEPTED"
    assert scene.events(item)[-1]["p"] == {"result": 2}


def test_an_outcome_of_a_cancelled_wait_is_refused(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    scene.broker.publish([item])
    scene.broker.cancel(str(item.id), 1)

    assert link.report(run_of(item), "completed", "{}") == "REFUSED"


def test_only_the_holder_tells(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    run = scene.held(item, link)

    assert link.tell(run, "progress", '{"fraction": 0.5}')
    assert not link.tell(run_of(item), "progress", '{"fraction": 0.9}')
    link.report(run, "completed", "{}")
    assert not link.tell(run, "log", "{}")

    assert scene.kinds(item) == ["queued", "running", "progress", "completed"]


def test_recorded_events_go_and_recorded_ends_expire(scene: Scene) -> None:
    ended, held, retried, link = publishable(), publishable(), publishable(), scene.link()
    link.report(scene.held(ended, link), "completed", "{}")
    scene.held(held, link)
    link.report(scene.held(retried, link), "failed", "{}")
    scene.broker.publish([replace(retried, delivery=2)])
    stream = EventStream(scene.server.options())
    batch = stream.read(block_seconds=0.1)
    assert stream.tail() == batch.entries[-1].id

    stream.settle(
        [entry.id for entry in batch.entries], [(str(item.id), 1) for item in (ended, held, retried)]
    )

    assert stream.tail() is None
    assert stream.read(block_seconds=0.01).entries == []
    assert 0 < scene.client.ttl(keys.task_key(str(ended.id))) <= ENDED_KEY_SECONDS
    assert scene.client.ttl(keys.task_key(str(held.id))) == -1
    assert scene.client.ttl(keys.task_key(str(retried.id))) == -1
    stream.close()
