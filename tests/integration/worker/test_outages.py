"""Redis away, Redis empty, the main process frozen: what runs goes on or stops, and nothing is dropped."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from orchestrator.broker import keys
from tests.support.waiting import wait_for
from tests.support.worker import is_running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.worker import Stage, Worker


def come_back(stage: Stage) -> None:
    """Start Redis again, and bless it as the leader does once the agents have beaten."""
    stage.server.start()
    run_id = stage.inspector.epoch().run_id
    wait_for(
        lambda: all(agent.run_id == run_id for agent in stage.inspector.agents()),
        what="a beat of every agent",
    )
    stage.server.bless()
    wait_for(stage.broker.probe)


def files_of(stage: Stage, worker: Worker) -> list[str]:
    return [path.name for path in stage.folder.rglob("*") if path.is_file() and path != worker.log_path]


def test_an_outcome_that_redis_cannot_take_waits_and_arrives(own_stage: Stage, tmp_path: Path) -> None:
    own_stage.start_worker("probe-1")
    go = tmp_path / "go"
    item = own_stage.submit("until_file", {"path": str(go)}, timeout_seconds=60)
    running = own_stage.wait_event(item, "running")
    own_stage.server.kill()

    go.touch()
    come_back(own_stage)

    end = own_stage.wait_end(item)
    assert (end["e"], end["k"]) == ("completed", running["k"])
    assert end["p"]["result"] == "found"
    assert own_stage.kinds(item).count("completed") == 1


def test_a_run_goes_on_over_a_restart_of_redis(own_stage: Stage, tmp_path: Path) -> None:
    worker = own_stage.start_worker("probe-1")
    before = files_of(own_stage, worker)
    go = tmp_path / "go"
    item = own_stage.submit("until_file", {"path": str(go)}, timeout_seconds=60)
    own_stage.wait_event(item, "running")
    waiting = own_stage.submit("echo")

    own_stage.server.kill()
    come_back(own_stage)
    go.touch()

    assert own_stage.wait_end(item)["e"] == "completed"
    assert own_stage.kinds(item).count("running") == 1
    assert own_stage.wait_end(waiting, within=30)["e"] == "completed"
    go.unlink()
    assert files_of(own_stage, worker) == before, "an emergency dump?"
    assert "EMERGENCY" not in worker.log
    beats = own_stage.broker.agents()[0].seq
    wait_for(lambda: own_stage.broker.agents()[0].seq > beats + 1)
    assert own_stage.broker.agents()[0].load["loop_age_seconds"] < 5


def test_a_flushed_redis_learns_agent_and_run_again(stage: Stage, tmp_path: Path) -> None:
    stage.start_worker("probe-1")
    go = tmp_path / "go"
    item = stage.submit("until_file", {"path": str(go)}, timeout_seconds=60)
    first = stage.wait_event(item, "running")

    stage.client.flushall()
    again = stage.wait_event(item, "running")

    assert (again["k"], again["a"], again["i"]) == (first["k"], "probe-1", first["i"])
    assert stage.client.hget(keys.task_key(str(item.id)), "s") == "held"
    assert next(event["e"] for event in stage.events()) == "registered"
    stage.server.bless()
    go.touch()
    assert stage.wait_end(item)["e"] == "completed"
    wait_for(stage.broker.probe)
    assert stage.wait_end(stage.submit("echo"))["e"] == "completed"


def test_children_spool_and_go_on_while_no_epoch_is_blessed(stage: Stage, tmp_path: Path) -> None:
    stage.start_worker("probe-1")
    go = tmp_path / "go"
    item = stage.submit("until_file", {"path": str(go)}, timeout_seconds=60)
    stage.wait_event(item, "running")
    epoch = stage.client.get(keys.EPOCH)
    stage.client.delete(keys.EPOCH)

    go.touch()

    def spooled() -> bool:
        (agent,) = stage.broker.agents()
        return agent.running == 0 and len(agent.in_hand) == 1

    wait_for(spooled, what="a beat that lists the unsent outcome")
    assert stage.kinds(item) == ["queued", "running"]
    stage.client.set(keys.EPOCH, epoch)

    assert stage.wait_end(item)["p"]["result"] == "found"
    wait_for(lambda: not stage.broker.agents()[0].in_hand)


def test_an_exclusive_run_stops_itself_when_its_agent_is_frozen(stage: Stage, tmp_path: Path) -> None:
    worker = stage.start_worker("probe-1")
    parameters = {"pid_path": str(tmp_path / "pid"), "path": str(tmp_path / "go")}
    item = stage.submit("exclusive", parameters, timeout_seconds=60)
    child = stage.wait_event(item, "running")["p"]["pid"]
    subprocess = int(wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    wait_for(lambda: stage.broker.agents()[0].seq > 1)

    frozen_at = time.monotonic()
    worker.signal(signal.SIGSTOP)
    wait_for(lambda: not is_running(child), within=5, what="the end of the exclusive run")

    assert time.monotonic() - frozen_at < stage.timeout_seconds
    wait_for(lambda: not is_running(subprocess), within=0.5, what="the end of its subprocess")
    worker.signal(signal.SIGCONT)
    end = stage.wait_end(item)
    assert (end["e"], end["p"]["reason"]) == ("lost", "abandoned")


def test_an_exclusive_run_stops_itself_when_redis_stays_away(own_stage: Stage, tmp_path: Path) -> None:
    own_stage.start_worker("probe-1")
    parameters = {"pid_path": str(tmp_path / "pid"), "path": str(tmp_path / "go")}
    exclusive = own_stage.submit("exclusive", parameters, timeout_seconds=60)
    child = own_stage.wait_event(exclusive, "running")["p"]["pid"]

    own_stage.server.freeze()
    wait_for(lambda: not is_running(child), within=5, what="the end of the exclusive run")
    own_stage.server.thaw()

    end = own_stage.wait_end(exclusive)
    assert (end["e"], end["p"]["reason"]) == ("lost", "abandoned")
    wait_for(own_stage.broker.probe)
    again = own_stage.submit("exclusive", {**parameters, "path": str(tmp_path)}, timeout_seconds=60)
    assert own_stage.wait_end(again)["e"] == "completed"


def test_an_ordinary_run_outlives_its_frozen_agent(stage: Stage, tmp_path: Path) -> None:
    worker = stage.start_worker("probe-1")
    go = tmp_path / "go"
    item = stage.submit("until_file", {"path": str(go)}, timeout_seconds=60)
    child = stage.wait_event(item, "running")["p"]["pid"]

    worker.signal(signal.SIGSTOP)
    wait_for(lambda: stage.broker.agents()[0].status == "offline", within=10, what="offline")
    assert is_running(child)
    go.touch()

    assert stage.wait_end(item)["e"] == "completed"
    worker.signal(signal.SIGCONT)
    wait_for(lambda: stage.broker.agents()[0].status == "healthy")


def test_a_run_whose_task_was_given_away_is_stopped(stage: Stage, tmp_path: Path) -> None:
    worker = stage.start_worker("probe-1")
    item = stage.submit("until_file", {"path": str(tmp_path / "go")}, timeout_seconds=60)
    running = stage.wait_event(item, "running")
    worker.signal(signal.SIGSTOP)
    answers = stage.broker.take_back([(str(item.id), 1, running["k"])], decision=stage.broker.decided())
    assert answers[0].outcome == "TAKEN"

    worker.signal(signal.SIGCONT)

    wait_for(lambda: not is_running(running["p"]["pid"]), within=5, what="the end of the old run")
    assert stage.kinds(item) == ["queued", "running"]
    assert stage.wait_end(stage.submit("echo"))["e"] == "completed"


def test_a_frozen_agent_that_was_replaced_stops_and_ends(stage: Stage, tmp_path: Path) -> None:
    old = stage.start_worker("probe-1")
    item = stage.submit("until_file", {"path": str(tmp_path / "go")}, timeout_seconds=60)
    running = stage.wait_event(item, "running")
    old.signal(signal.SIGSTOP)

    new = stage.start_worker("probe-1")
    old.signal(signal.SIGCONT)

    old.wait()
    wait_for(lambda: not is_running(running["p"]["pid"]))
    assert "replaced_by_another_process" in old.log
    assert (stage.record("probe-1") or {})["pid"] == new.pid
