"""What becomes of a task whose agent, or whose leader, is gone."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.support.cluster import Cluster


def test_a_killed_agents_task_runs_again_on_the_other(cluster: Cluster) -> None:
    task_id = cluster.submit("sleep", {"seconds": 2})
    holder = cluster.wait_until(task_id, "running", within=10)["agent_id"]

    cluster.processes[holder].kill()

    task = cluster.wait_until(task_id, "completed", within=20)
    assert task["attempt"] == 2
    assert task["agent_id"] != holder


def test_a_restarted_agent_gives_its_tasks_back_at_once(cluster: Cluster) -> None:
    task_id = cluster.submit("sleep", {"seconds": 1})
    holder = cluster.wait_until(task_id, "running", within=10)["agent_id"]

    cluster.processes[holder].kill()
    cluster.processes[holder].start()

    assert cluster.wait_until(task_id, "completed", within=20)["attempt"] == 2


def test_a_frozen_agents_late_outcome_is_refused(cluster: Cluster) -> None:
    """Its children are frozen with it; when they wake up, another has the task."""
    task_id = cluster.submit("sleep", {"seconds": 1})
    holder = cluster.wait_until(task_id, "running", within=10)["agent_id"]
    frozen = cluster.processes[holder]

    cluster.freeze_group(frozen)
    task = cluster.wait_until(task_id, "completed", within=20)
    cluster.thaw_group(frozen)

    assert task["agent_id"] != holder
    wait_for(lambda: cluster.agent_status(holder) == "healthy", within=20, what="the thawed agent")
    assert cluster.task(task_id)["agent_id"] == task["agent_id"]
    assert cluster.ends_recorded([task_id]) == {task_id: 1}


def test_a_task_that_kills_its_process_three_times_is_poison_and_its_neighbour_finishes(
    cluster: Cluster,
) -> None:
    neighbour = cluster.submit("sleep", {"seconds": 3})
    killer = cluster.submit("die")

    task = cluster.wait_until(killer, "failed", within=40)

    assert (task["error_code"], task["worker_losses"]) == ("poison", 3)
    assert cluster.wait_until(neighbour, "completed", within=20)["attempt"] == 1


def test_a_standby_takes_over_from_a_killed_and_from_a_frozen_leader(cluster: Cluster) -> None:
    cluster.add_controller("standby")
    cluster.processes["controller"].kill()
    cluster.wait_until(cluster.submit("echo"), "completed", within=20)

    cluster.processes["controller"].start()
    cluster.processes["standby"].signal(signal.SIGSTOP)
    cluster.wait_until(cluster.submit("echo"), "completed", within=20)

    cluster.processes["standby"].signal(signal.SIGCONT)
    cluster.wait_until(cluster.submit("echo"), "completed", within=20)
    wait_for(
        lambda: "leadership_lost" in cluster.processes["standby"].log,
        within=20,
        what="the old leader's giving up",
    )


def test_a_recorder_that_was_away_causes_no_second_run(cluster: Cluster) -> None:
    cluster.processes["controller"].signal(signal.SIGSTOP)
    ids = [cluster.submit("sleep", {"seconds": 0.05}) for _ in range(30)]
    wait_for(
        lambda: cluster.redis.client().xlen("orch:events") >= 3 * len(ids), within=30, what="all runs to end"
    )

    cluster.processes["controller"].signal(signal.SIGCONT)

    ended = cluster.wait_for_ends(ids, within=30)
    assert {(task["status"], task["attempt"]) for task in ended.values()} == {("completed", 1)}


def test_an_outage_of_redis_beyond_the_timeout_costs_no_running_task(cluster: Cluster) -> None:
    task_id = cluster.submit("sleep", {"seconds": 6})
    cluster.wait_until(task_id, "running", within=10)

    cluster.redis.freeze()
    wait_for(lambda: cluster.outage_lasted(2 * cluster.heartbeat_timeout), within=10, what="the outage")
    cluster.redis.thaw()

    task = cluster.wait_until(task_id, "completed", within=30)
    assert (task["attempt"], task["worker_losses"]) == (1, 0)


def test_a_restart_of_postgresql_under_load_loses_nothing(cluster: Cluster) -> None:
    ids = [cluster.submit("sleep", {"seconds": 0.2}) for _ in range(40)]

    cluster.postgres.stop(signal.SIGINT)
    cluster.postgres.start()

    ended = cluster.wait_for_ends(ids, within=60)
    assert {(task["status"], task["attempt"]) for task in ended.values()} == {("completed", 1)}
