"""Starting, stopping and replacing an agent's process."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from orchestrator.broker import keys
from orchestrator.worker.lifecycle import EXIT_NAME_TAKEN
from tests.support.waiting import wait_for
from tests.support.worker import is_running

if TYPE_CHECKING:
    from tests.support.worker import Stage

EXIT_USAGE = 2


def test_an_agent_says_what_it_is(stage: Stage) -> None:
    worker = stage.start_worker("probe-9", concurrency=3)

    record = stage.record("probe-9")
    assert record is not None
    assert (record["agent_type"], record["version"], record["slots"]) == ("probe", "1.2.3", 3)
    assert (record["pid"], record["metadata"]) == (worker.pid, {"zone": "test"})
    by_name = {item["task_type"]: item for item in record["capabilities"]}
    assert by_name["exclusive"]["exclusive"]
    assert by_name["sum"]["parameters_schema"]["required"] == ["left"]
    wait_for(lambda: stage.broker.agents()[0].seq > 1, what="a second beat")
    assert stage.broker.agents()[0].status == "healthy"


def test_a_second_worker_of_a_live_name_is_refused(stage: Stage) -> None:
    first = stage.start_worker("probe-1")

    second = stage.start_worker("probe-1", wait=False)

    assert second.wait() == EXIT_NAME_TAKEN
    assert f"'probe-1' is taken by a live process (pid {first.pid} on" in second.log
    assert "start this one with another --name" in second.log
    item = stage.submit("echo")
    assert stage.wait_end(item)["e"] == "completed"
    assert (stage.record("probe-1") or {})["pid"] == first.pid


def test_a_killed_agent_s_name_is_free_at_once(stage: Stage) -> None:
    stage.timeout_seconds = 60
    first = stage.start_worker("probe-1")
    item = stage.submit("sleep", {"seconds": 60}, timeout_seconds=120)
    running = stage.wait_event(item, "running")

    first.kill()

    assert not is_running(running["p"]["pid"])
    stage.start_worker("probe-1")
    assert stage.broker.agents()[0].incarnation != running["i"]


def test_sigterm_lets_the_running_finish_and_gives_the_unstarted_back(stage: Stage, tmp_path: Path) -> None:
    worker = stage.start_worker("probe-1")
    go = tmp_path / "go"
    running = stage.submit("until_file", {"path": str(go)}, timeout_seconds=60)
    stage.wait_event(running, "running")
    first, second = stage.submit("echo", priority=15), stage.submit("echo", priority=15)

    worker.signal(signal.SIGTERM)
    wait_for(lambda: stage.broker.agents()[0].status == "draining", what="draining")
    go.touch()

    assert worker.wait() == 0
    assert stage.wait_end(running)["e"] == "completed"
    ids = [json.loads(text)["headers"]["id"] for text in stage.client.lrange("probe.echo", 0, -1)]
    assert ids == [f"{second.id}.1", f"{first.id}.1"]
    assert stage.inspector.lost_messages() == set()
    assert stage.record("probe-1") is None
    assert [event["e"] for event in stage.events()][-1] == "left"
    stage.start_worker("probe-1")
    for item in (first, second):
        assert stage.wait_end(item)["e"] == "completed"


def test_a_cold_stop_gives_the_run_back_without_counting_it_against_the_task(stage: Stage) -> None:
    worker = stage.start_worker("probe-1")
    item = stage.submit("sleep", {"seconds": 60})
    stage.wait_event(item, "running")

    worker.signal(signal.SIGQUIT)

    end = stage.wait_end(item)
    assert (end["e"], end["p"]["reason"]) == ("lost", "stopped")
    assert worker.wait() == 0


def test_a_successor_says_whether_its_predecessor_was_being_stopped(stage: Stage, tmp_path: Path) -> None:
    worker = stage.start_worker("probe-1")
    item = stage.submit("until_file", {"path": str(tmp_path / "never")})
    first = stage.wait_event(item, "running")["i"]
    assert not stage.broker.agents()[0].was_draining(first)
    worker.signal(signal.SIGTERM)
    wait_for(lambda: stage.broker.agents()[0].was_draining(first), what="draining")
    worker.kill()

    stage.start_worker("probe-1")

    (agent,) = stage.broker.agents()
    assert agent.incarnation != first
    assert agent.was_draining(first)
    assert not agent.was_draining(agent.incarnation)


def test_a_pool_child_that_dies_leaves_the_others_alone(stage: Stage, tmp_path: Path) -> None:
    stage.start_worker("probe-1", concurrency=2)
    kept = stage.submit("until_file", {"path": str(tmp_path / "go")})
    stage.wait_event(kept, "running")

    assert stage.wait_end(stage.submit("die"))["e"] == "lost"

    (tmp_path / "go").touch()
    assert stage.wait_end(kept)["e"] == "completed"


def test_nothing_of_a_killed_worker_runs_on(stage: Stage) -> None:
    worker = stage.start_worker("probe-1", concurrency=2)
    children = [child.pid for child in worker.children()]
    assert len(children) >= 2

    worker.kill()

    wait_for(lambda: not any(is_running(pid) for pid in children), what="the end of the pool")


def test_a_user_s_folder_with_our_package_names_is_no_obstacle(stage: Stage, tmp_path: Path) -> None:
    folder = user_folder(tmp_path)
    command = [sys.executable, "-c", "from orchestrator.worker.command import worker; worker()"]

    stage.start_command([*command, "mymodule:agent", "--name", "mine-1"], "mine-1", cwd=folder, PYTHONPATH="")

    assert (stage.record("mine-1") or {})["agent_type"] == "mine"
    item = stage.submit("shout", {"text": "hi"}, agent_type="mine")
    assert stage.wait_end(item)["p"]["result"] == "HI, mine"


def test_plain_celery_runs_an_agent(stage: Stage, tmp_path: Path) -> None:
    folder = user_folder(tmp_path)
    celery = str(Path(sys.executable).with_name("celery"))
    command = [celery, "-A", "mymodule", "worker", "--concurrency", "1", "-n", "mine-2@%h"]

    worker = stage.start_command(command, "mine-2", cwd=folder, PYTHONPATH="")

    item = stage.submit("shout", {"text": "hi"}, agent_type="mine")
    assert stage.wait_end(item)["p"]["result"] == "HI, mine"
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert stage.record("mine-2") is None


def user_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "users"
    for package in ("config", "api", "workers", "tests"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text(f"NAME = 'the user\\'s {package}'\n")
    (folder / "workers" / "text.py").write_text("def shout(text):\n    return text.upper() + ', mine'\n")
    (folder / "mymodule.py").write_text(
        "import api, config, tests\n"
        "from workers.text import shout\n"
        "from orchestrator import Agent\n"
        "assert all('user' in package.NAME for package in (api, config, tests))\n"
        "agent = Agent('mine')\n"
        "@agent.task('shout')\n"
        "def handler(task, parameters):\n"
        "    return shout(parameters['text'])\n"
        "app = agent.celery\n"
    )
    return folder


def test_a_wrong_target_is_refused_in_words(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("from orchestrator import Agent\nagent = Agent('empty')\n")
    (tmp_path / "wrong.py").write_text("from orchestrator import Agent\nagent = Agent('Not A Name')\n")
    (tmp_path / "needs.py").write_text("import no_such_package\n")
    expected = {
        "nowhere": "no module 'nowhere' here, on PYTHONPATH or installed",
        "empty": "empty declares no task type",
        "empty:other": "empty has no Agent called 'other'",
        "wrong": "wrong is declared wrongly: agent type 'Not A Name' must be",
        "needs": "needs cannot be imported: No module named 'no_such_package'",
    }
    workers = {
        target: stage.start_worker("none", target=target, wait=False, PYTHONPATH=f"{tmp_path}:{root()}")
        for target in expected
    }

    for target, worker in workers.items():
        assert worker.wait() == EXIT_USAGE
        assert expected[target] in worker.log


def test_wrong_settings_are_refused_together(stage: Stage) -> None:
    worker = stage.start_worker(
        "probe-1",
        wait=False,
        HEARTBEAT_TIMEOUT="soon",
        ORCHESTRATOR_RESULT_LIMIT="1",
        ORCHESTRATOR_RESULT_LIMITS="9",
    )
    assert worker.wait() == 1
    assert "did you mean ORCHESTRATOR_RESULT_LIMIT?" in worker.log

    worker = stage.start_worker(
        "probe-1", wait=False, HEARTBEAT_TIMEOUT="soon", ORCHESTRATOR_RESULT_LIMIT="1"
    )
    assert worker.wait() == 1
    assert "HEARTBEAT_TIMEOUT" in worker.log
    assert "ORCHESTRATOR_RESULT_LIMIT: 1 is out of range" in worker.log


def test_other_pools_are_refused(stage: Stage, tmp_path: Path) -> None:
    folder = user_folder(tmp_path)
    celery = str(Path(sys.executable).with_name("celery"))

    worker = stage.start_command(
        [celery, "-A", "mymodule", "worker", "-P", "solo"], "mine-3", wait=False, cwd=folder, PYTHONPATH=""
    )

    assert worker.wait() == 1
    assert "prefork pool" in worker.log


def root() -> Path:
    return Path(__file__).parents[3]


def test_a_worker_waits_for_a_redis_that_is_not_there_yet(own_stage: Stage) -> None:
    own_stage.server.stop()
    worker = own_stage.start_worker("probe-1", wait=False)
    wait_for(lambda: "Cannot connect to" in worker.log, within=20, what="the first failure to connect")

    own_stage.server.start()

    own_stage.wait_registered(worker)
    own_stage.server.bless()
    wait_for(own_stage.broker.probe)
    assert own_stage.wait_end(own_stage.submit("echo"))["e"] == "completed"


def test_children_are_bound_to_their_worker_s_life(stage: Stage) -> None:
    worker = stage.start_worker("probe-1")
    item = stage.submit("sleep", {"seconds": 60}, timeout_seconds=90)
    child = stage.wait_event(item, "running")["p"]["pid"]
    assert psutil.Process(child).ppid() == worker.pid

    worker.process.kill()

    wait_for(lambda: not is_running(child), within=3, what="the end of the child")
    assert stage.client.hget(keys.task_key(str(item.id)), "s") == "held"


def test_an_agent_reaches_redis_through_a_unix_socket(stage: Stage) -> None:
    stage.start_worker("probe-1", REDIS_URL=stage.server.socket_url)

    assert stage.wait_end(stage.submit("echo"))["e"] == "completed"


def test_a_name_that_no_queue_could_bear_is_refused(stage: Stage) -> None:
    worker = stage.start_worker("a:b", wait=False)

    assert worker.wait() == EXIT_USAGE
    assert "a name is 1 to 128 characters of" in worker.log
