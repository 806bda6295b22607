"""Ending what nobody holds, marking what somebody does, and taking what was lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.broker import keys
from orchestrator.broker.answers import TakeBackAnswer, TakenBack
from orchestrator.broker.gateway import Decision
from tests.integration.broker.conftest import run_of
from tests.support.worker import publishable

if TYPE_CHECKING:
    from orchestrator.tasks.state import Publishable
    from tests.integration.broker.conftest import Scene


def take_back(
    scene: Scene, item: Publishable, token: str | None = None, *, delivery: int = 1
) -> TakeBackAnswer:
    items = [(str(item.id), delivery, token)]
    return scene.broker.take_back(items, decision=scene.broker.decided())[0]


def test_cancelling_what_redis_does_not_know_ends_it(scene: Scene) -> None:
    item = publishable()

    assert scene.broker.cancel(str(item.id), 1).outcome == "ENDED"
    assert scene.broker.cancel(str(item.id), 1).outcome == "ALREADY_ENDED"

    assert scene.key(item) == {"d": "1", "s": "ended"}
    assert scene.kinds(item) == ["cancelled"]


def test_cancelling_a_queued_task_ends_it_and_frees_its_place(scene: Scene) -> None:
    item = publishable()
    scene.broker.publish([item])

    assert scene.broker.cancel(str(item.id), 1).outcome == "ENDED"

    assert scene.broker.depths(["probe.echo"]) == {"probe.echo": 0}
    assert scene.kinds(item) == ["queued", "cancelled"]


def test_cancelling_a_reserved_delivery_ends_it_and_its_key_does_not_expire(scene: Scene) -> None:
    item = publishable()
    scene.broker.publish([item])
    take_back(scene, item)

    assert scene.broker.cancel(str(item.id), 2).outcome == "ENDED"
    assert scene.client.ttl(keys.task_key(str(item.id))) == -1


def test_cancelling_a_held_task_marks_it_and_nudges_its_holder(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    scene.held(item, link)

    assert scene.broker.cancel(str(item.id), 1).outcome == "MARKED"
    assert scene.broker.cancel(str(item.id), 1).outcome == "MARKED"

    assert scene.key(item)["s"] == "held"
    assert link.wait_for_nudge(1.0)
    assert scene.kinds(item) == ["queued", "running"]


def test_what_a_marked_run_reports_first_stands(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    run = scene.held(item, link)
    scene.broker.cancel(str(item.id), 1)

    assert link.report(run, "completed", "{}") == "ACCEPTED"
    assert scene.broker.cancel(str(item.id), 1).outcome == "ALREADY_ENDED"


def test_cancelling_an_earlier_delivery_names_the_later(scene: Scene) -> None:
    item = publishable(delivery=3)
    scene.broker.publish([item])

    answer = scene.broker.cancel(str(item.id), 1)

    assert (answer.outcome, answer.delivery) == ("MOVED", 3)
    assert scene.key(item)["s"] == "queued"


@pytest.mark.parametrize("state", ["absent", "queued", "earlier"])
def test_what_nobody_holds_is_taken_back_and_reserved(scene: Scene, state: str) -> None:
    item = publishable(delivery=2)
    if state == "queued":
        scene.broker.publish([item])
    if state == "earlier":
        scene.broker.publish([replace(item, delivery=1)])

    for _ in range(2):
        assert take_back(scene, item, delivery=2) == TakeBackAnswer(TakenBack.TAKEN, delivery=3)

    assert scene.key(item) == {"d": "3", "s": "reserved"}
    assert 0 < scene.client.ttl(keys.task_key(str(item.id))) <= 60
    assert scene.broker.depths(["probe.echo"]) == {"probe.echo": 0}


def test_a_held_run_is_taken_from_the_named_token_only(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    run = scene.held(item, link)

    assert take_back(scene, item) == TakeBackAnswer(TakenBack.HELD, token=run.token, agent_id="probe-1")
    assert take_back(scene, item, "somebody-else").outcome == "HELD"
    assert take_back(scene, item, run.token) == TakeBackAnswer(TakenBack.TAKEN, delivery=2)
    assert take_back(scene, item, run.token) == TakeBackAnswer(TakenBack.TAKEN, delivery=2)


def test_what_has_ended_is_not_taken_back(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    run = scene.held(item, link)
    link.report(run, "completed", "{}")

    assert take_back(scene, item, run.token) == TakeBackAnswer(TakenBack.ENDED)


@pytest.mark.parametrize("state", ["queued", "held", "ended"])
def test_a_later_delivery_is_named(scene: Scene, state: str) -> None:
    item, link = publishable(delivery=2), scene.link()
    scene.broker.publish([item])
    if state != "queued":
        run = scene.claimed(item, link)
        if state == "ended":
            link.report(run, "completed", "{}")

    assert take_back(scene, item) == TakeBackAnswer(TakenBack.MOVED, delivery=2)


def test_a_marked_run_that_its_agent_lost_ends_cancelled(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    run = scene.held(item, link)
    scene.broker.cancel(str(item.id), 1)

    assert take_back(scene, item, run.token).outcome == "ENDED"

    event = scene.events(item)[-1]
    assert (event["e"], event["k"], event["a"]) == ("cancelled", run.token, "probe-1")
    assert link.report(run, "completed", "{}") == "REFUSED"
    assert scene.kinds(item) == ["queued", "running", "cancelled"]


def test_a_marked_run_that_was_taken_back_is_told_to_stop_when_its_agent_returns(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    link.register({})
    run = scene.held(item, link)
    scene.broker.cancel(str(item.id), 1)
    take_back(scene, item, run.token)

    answer = link.beat(seq=1, status="healthy", running=1, load={}, tokens=[run.token], held=[run])

    assert answer.stops == {run.token: "lost"}


def test_a_repair_decided_in_an_earlier_epoch_waits(scene: Scene) -> None:
    item = publishable()
    scene.broker.publish([item])

    answers = scene.broker.take_back([(str(item.id), 1, None)], decision=Decision("another:epoch", 0))

    assert answers == [TakeBackAnswer(TakenBack.WAIT)]
    assert scene.key(item)["s"] == "queued"


def test_the_old_holder_of_a_taken_run_is_told_to_stop(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    link.register({})
    run = scene.held(item, link)
    take_back(scene, item, run.token)
    scene.broker.publish([replace(item, delivery=2)])

    answer = link.beat(seq=1, status="healthy", running=1, load={}, tokens=[run.token], held=[run])

    assert answer.stops == {run.token: "lost"}
    assert link.claim(run_of(replace(item, delivery=2)), pid=1)[0] == "GRANTED"
