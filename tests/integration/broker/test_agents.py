"""An agent's heartbeat, its name, and its leaving."""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from orchestrator.broker import keys
from orchestrator.broker.registry import read_agents
from orchestrator.errors import AgentNameTakenError
from orchestrator.worker.naming import Identity, take_name
from tests.integration.broker.conftest import run_of
from tests.support.waiting import wait_for
from tests.support.worker import publishable

if TYPE_CHECKING:
    from orchestrator.worker.link import AgentLink, BeatAnswer, Run
    from tests.integration.broker.conftest import Scene


def beat(link: AgentLink, *held: Run, seq: int = 1, claiming: tuple[Run, ...] = ()) -> BeatAnswer:
    tokens = [run.token for run in (*held, *claiming)]
    return link.beat(seq=seq, status="healthy", running=len(tokens), load={}, tokens=tokens, held=held)


def a_record(**changes: Any) -> dict[str, Any]:
    me = Identity.mine()
    record = {"agent_id": "probe-1", "agent_type": "probe", "capabilities": [{"task_type": "echo"}]}
    return {**record, "host": me.host, "pid": me.pid, "process_started_at": me.started_at, **changes}


def test_an_agent_registers_beats_and_leaves(scene: Scene) -> None:
    link = scene.link()
    run = run_of(publishable())

    assert link.register(a_record()).granted
    answer = link.beat(seq=4, status="draining", running=1, load={"x": 1}, tokens=[run.token], held=[])

    assert (answer.known, answer.replaced, answer.stops) == (True, False, {})
    (agent,) = scene.broker.agents()
    assert (agent.agent_id, agent.agent_type, agent.task_types) == ("probe-1", "probe", {"echo"})
    assert (agent.status, agent.seq, agent.running, agent.load) == ("draining", 4, 1, {"x": 1})
    assert agent.in_hand == {run.token}
    assert agent.live
    assert agent.run_id == scene.inspector.epoch().run_id

    link.leave()
    link.leave()
    assert scene.broker.agents() == []
    kinds = [event["e"] for event in scene.events()]
    assert kinds == ["registered", "left"]


def test_an_agent_whose_beats_stop_is_degraded_then_offline(scene: Scene) -> None:
    link = scene.link()
    link.register(a_record(heartbeat_interval_seconds=0.05))

    def status(timeout: float) -> str:
        return read_agents(scene.client, heartbeat_timeout_seconds=timeout)[0].status

    wait_for(lambda: status(60) == "degraded", within=2)
    wait_for(lambda: status(0.2) == "offline", within=2)


def test_an_agent_whose_main_loop_stands_still_is_degraded(scene: Scene) -> None:
    link = scene.link()
    link.register(a_record(heartbeat_interval_seconds=30))
    link.beat(seq=1, status="healthy", running=0, load={"loop_age_seconds": 61.0}, tokens=[], held=[])

    assert scene.broker.agents()[0].status == "degraded"


def test_a_beat_of_an_unknown_agent_asks_it_to_register(scene: Scene) -> None:
    assert not beat(scene.link()).known


def test_a_beat_of_a_replaced_incarnation_says_so(scene: Scene) -> None:
    old, new = scene.link(), scene.link(incarnation="life-2")
    old.register(a_record())
    assert new.register(a_record(), dead_incarnation="life-1").granted

    assert beat(old).replaced
    assert not beat(new).replaced
    old.leave()
    assert scene.broker.agents()[0].incarnation == "life-2"


def test_a_beat_writes_a_forgotten_key_again_and_says_so_once(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    link.register(a_record())
    run = scene.held(item, link)
    scene.client.flushall()
    link.register(a_record())

    for seq in (1, 2):
        assert beat(link, run, seq=seq).stops == {}

    assert scene.key(item) == {"d": "1", "s": "held", "k": run.token, "a": "probe-1", "i": "life-1"}
    assert scene.kinds(item) == ["running"]
    scene.server.bless()
    assert link.report(run, "completed", "{}") == "ACCEPTED"


def test_a_beat_takes_what_an_older_redis_believes_to_be_queued(scene: Scene) -> None:
    item, link = publishable(), scene.link()
    link.register(a_record())
    run = scene.held(item, link)
    scene.client.delete(keys.task_key(run.task_id))
    scene.broker.publish([item])

    assert beat(link, run).stops == {}

    assert scene.key(item)["k"] == run.token
    assert link.claim(run_of(item), pid=1)[0] == "REFUSED"
    assert scene.broker.depths(["probe.echo"]) == {"probe.echo": 0}


def test_a_beat_stops_what_is_cancelled_and_what_is_no_longer_ours(scene: Scene) -> None:
    link = scene.link()
    link.register(a_record())
    items = [publishable() for _ in range(5)]
    fine, cancelled, taken, moved, reported = runs = [scene.held(item, link) for item in items]
    scene.broker.cancel(cancelled.task_id, 1)
    scene.broker.take_back(
        [(taken.task_id, 1, taken.token), (moved.task_id, 1, moved.token)], decision=scene.broker.decided()
    )
    other = scene.link("probe-2", "life-9")
    scene.held(replace(items[3], delivery=2), other)
    link.report(reported, "completed", "{}")

    answer = beat(link, *runs)

    assert answer.stops == {cancelled.token: "cancelled", taken.token: "lost", moved.token: "lost"}
    assert fine.token not in answer.stops


def test_a_run_that_is_still_asking_is_listed_and_not_judged(scene: Scene) -> None:
    link = scene.link()
    link.register(a_record())
    asking = run_of(publishable())

    assert beat(link, claiming=(asking,)).stops == {}
    assert scene.broker.agents()[0].in_hand == {asking.token}
    assert scene.client.exists(keys.task_key(asking.task_id)) == 0


def test_a_registration_may_be_repeated(scene: Scene) -> None:
    link = scene.link()

    assert link.register(a_record()).granted
    assert link.register(a_record()).granted


def test_a_live_agent_keeps_its_name(scene: Scene) -> None:
    old, new = scene.link(), scene.link(incarnation="life-2")
    take_name(old, a_record(), heartbeat_timeout_seconds=2)
    beat(old, seq=7)

    refusal = new.register(a_record())

    assert (refusal.granted, refusal.holder_incarnation, refusal.holder_seq) == (False, "life-1", 7)
    assert refusal.holder_record is not None
    assert refusal.holder_record["pid"] == Identity.mine().pid


def test_a_name_is_taken_at_once_from_a_process_that_died_here(scene: Scene) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "pass"]) as dead:
        started_at = psutil.Process(dead.pid).create_time()
        wait_for(lambda: psutil.Process(dead.pid).status() == psutil.STATUS_ZOMBIE)
        scene.link().register(a_record(pid=dead.pid, process_started_at=started_at))
        new = scene.link(incarnation="life-2")

        take_name(new, a_record(), heartbeat_timeout_seconds=60)

    assert scene.broker.agents()[0].incarnation == "life-2"


def test_a_name_is_taken_from_a_pid_that_was_given_to_another_process(scene: Scene) -> None:
    scene.link().register(a_record(process_started_at=1.0))

    take_name(scene.link(incarnation="life-2"), a_record(), heartbeat_timeout_seconds=60)

    assert scene.broker.agents()[0].incarnation == "life-2"


def test_a_name_on_another_host_is_taken_when_its_beats_stand_still(scene: Scene) -> None:
    scene.link().register(a_record(host=f"not-{socket.gethostname()}"))

    take_name(scene.link(incarnation="life-2"), a_record(), heartbeat_timeout_seconds=0.4)

    assert scene.broker.agents()[0].incarnation == "life-2"


def test_a_name_on_another_host_is_refused_when_it_beats(scene: Scene) -> None:
    old = scene.link()
    old.register(a_record(host="far-away", pid=77))

    class Rival(type(old)):  # type: ignore[misc]
        def register(self, *args: Any, **kwargs: Any) -> Any:
            answer = super().register(*args, **kwargs)
            beat(old, seq=answer.holder_seq + 1)
            return answer

    rival = Rival(scene.server.options(), agent_id="probe-1", incarnation="life-2")
    with pytest.raises(
        AgentNameTakenError, match=r"'probe-1' is taken by a live process \(pid 77 on far-away\)"
    ):
        take_name(rival, a_record(), heartbeat_timeout_seconds=60)
    rival.close()
