"""Whatever is killed or forgotten, every accepted task ends, and ends once."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.support.cluster import Cluster

LOAD = 55
"""Tasks that are running or queued when a fault strikes."""


def submit_many(cluster: Cluster, count: int, seconds: float = 0.1) -> list[str]:
    return [cluster.submit("sleep", {"seconds": seconds}) for _ in range(count)]


def test_killing_worker_controller_api_and_redis_in_turn_loses_nothing(cluster: Cluster) -> None:
    ids: list[str] = []

    ids += submit_many(cluster, LOAD)
    cluster.processes["probe-1"].kill()
    cluster.processes["probe-1"].start()

    ids += submit_many(cluster, LOAD)
    cluster.processes["controller"].kill()
    cluster.processes["controller"].start()

    ids += submit_many(cluster, LOAD)
    cluster.restart_api(signal.SIGKILL)

    ids += submit_many(cluster, LOAD)
    cluster.redis.kill()
    ids += submit_many(cluster, 5)
    cluster.redis.start()
    ids += submit_many(cluster, 5)

    ended = cluster.wait_for_ends(ids, within=120)

    assert {task["status"] for task in ended.values()} == {"completed"}
    assert set(cluster.ends_recorded(ids).values()) == {1}
    assert set(cluster.ends_recorded(ids)) == set(ids)


def test_flushall_under_load_loses_nothing_though_clients_submit_on(cluster: Cluster) -> None:
    ids = submit_many(cluster, LOAD, seconds=0.2)
    wait_for(lambda: cluster.task(ids[0])["status"] in ("running", "completed"), what="the first run")

    cluster.redis.client().flushall()
    ids += submit_many(cluster, 20)

    ended = cluster.wait_for_ends(ids, within=90)
    assert {task["status"] for task in ended.values()} == {"completed"}
    assert set(cluster.ends_recorded(ids).values()) == {1}
    assert set(cluster.ends_recorded(ids)) == set(ids)


def test_a_submission_is_accepted_while_redis_is_away_and_runs_when_it_is_back(cluster: Cluster) -> None:
    cluster.redis.kill()

    task_id = cluster.submit("echo")
    assert cluster.task(task_id)["status"] == "pending"

    cluster.redis.start()
    cluster.wait_until(task_id, "completed", within=30)
