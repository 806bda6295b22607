"""How tasks end, from the outside: submitted over HTTP, run by a real worker, read over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cluster import Cluster

WITHIN = 20.0


def attempts(cluster: Cluster, task_id: str) -> list[tuple[Any, ...]]:
    query = (
        "SELECT number, outcome, error_type, execution_time_ms FROM attempts"
        " WHERE task_id = %s ORDER BY number"
    )
    return cluster.postgres.run(query, (task_id,), database=cluster.database)


def test_a_result_comes_back_as_it_was_returned(cluster: Cluster) -> None:
    task_id = cluster.submit(
        "echo", {"text": "Zoë", "none": None, "deep": [1, {"a": 1.5}]}, metadata={"who": "me"}
    )

    task = cluster.wait_until(task_id, "completed", within=WITHIN)

    assert task["result"]["parameters"] == {"text": "Zoë", "none": None, "deep": [1, {"a": 1.5}]}
    assert (task["attempt"], task["agent_id"], task["error"]) == (1, "probe-1", None)
    assert task["created_at"] <= task["queued_at"] <= task["completed_at"]


@pytest.mark.parametrize("kind", ["permanent", "ZeroDivisionError"])
def test_a_permanent_failure_is_not_retried(cluster: Cluster, kind: str) -> None:
    task_id = cluster.submit("fail", {"kind": kind}, max_retries=5)

    task = cluster.wait_until(task_id, "failed", within=WITHIN)

    assert (task["attempt"], task["retry_count"]) == (1, 0)


def test_a_failure_is_retried_as_often_as_allowed_and_each_attempt_is_on_record(cluster: Cluster) -> None:
    task_id = cluster.submit("fail", {"kind": "ValueError"}, max_retries=2, retry_delay_seconds=0.1)

    task = cluster.wait_until(task_id, "failed", within=WITHIN)

    assert (task["error"], task["error_code"], task["retry_count"]) == ("no such account", "handler_error", 2)
    assert [row[:3] for row in attempts(cluster, task_id)] == [(n, "failed", "ValueError") for n in (1, 2, 3)]
    assert all(row[3] >= 0 for row in attempts(cluster, task_id))


def test_a_handler_may_choose_when_it_is_run_again(cluster: Cluster) -> None:
    task_id = cluster.submit("fail", {"kind": "later"}, max_retries=1)

    task = cluster.wait_until(task_id, "retrying", within=WITHIN)

    assert task["waiting_for"] == "not_due"
    assert cluster.cancel(task_id).status_code == httpx.codes.OK


def test_a_soft_limit_that_the_handler_catches_still_gives_a_result(cluster: Cluster) -> None:
    task_id = cluster.submit("graceful", timeout_seconds=1)

    assert cluster.wait_until(task_id, "completed", within=WITHIN)["result"] == "saved what was done"


def test_a_soft_limit_ends_a_run(cluster: Cluster) -> None:
    task_id = cluster.submit("sleep", {"seconds": 60}, timeout_seconds=1, max_retries=0)

    assert cluster.wait_until(task_id, "timeout", within=WITHIN)["error_code"] == "soft_time_limit"


def test_a_hard_limit_kills_a_run_that_ignores_the_soft_one(cluster: Cluster, tmp_path: Path) -> None:
    parameters = {"pid_path": str(tmp_path / "pid")}
    task_id = cluster.submit("stubborn", parameters, timeout_seconds=1, max_retries=0)

    assert cluster.wait_until(task_id, "timeout", within=WITHIN)["error_code"] == "hard_time_limit"


@pytest.mark.parametrize(
    ("task_type", "parameters", "code"),
    [
        ("strange_result", {"kind": "object"}, "result_not_json"),
        ("strange_result", {"kind": "nan"}, "result_not_json"),
        ("strange_result", {"kind": "huge", "size": 2_000_000}, "result_too_large"),
    ],
)
def test_a_result_that_cannot_be_kept_is_a_failure_that_says_why(
    cluster: Cluster, task_type: str, parameters: dict[str, Any], code: str
) -> None:
    task = cluster.wait_until(cluster.submit(task_type, parameters), "failed", within=WITHIN)

    assert task["error_code"] == code


@pytest.mark.parametrize("kind", ["nul", "surrogate"])
def test_a_text_that_postgresql_cannot_hold_is_still_kept_in_a_result(cluster: Cluster, kind: str) -> None:
    task_id = cluster.submit("strange_result", {"kind": kind})

    answer = cluster.get(f"/tasks/{task_id}", wait=20)

    assert {"nul": '"result":"\\u0000"', "surrogate": '"result":"\\ud800"'}[kind] in answer.text.replace(
        '": "', '":"'
    )


def test_a_delayed_task_starts_when_it_is_due(cluster: Cluster) -> None:
    task_id = cluster.submit("echo", delay_seconds=1)
    assert cluster.task(task_id)["waiting_for"] == "not_due"

    task = cluster.wait_until(task_id, "completed", within=WITHIN)

    assert task["started_at"] > task["created_at"]


def test_a_task_that_was_not_started_in_time_expires(cluster: Cluster) -> None:
    task_id = cluster.submit("echo", delay_seconds=60, expires_seconds=1)

    assert cluster.wait_until(task_id, "timeout", within=WITHIN)["error_code"] == "expired"


def test_cancelling_ends_a_waiting_a_delayed_and_a_running_task(cluster: Cluster) -> None:
    running = cluster.submit("sleep", {"seconds": 60})
    delayed = cluster.submit("echo", delay_seconds=60)
    cluster.wait_until(running, "running", within=WITHIN)

    for task_id in (running, delayed):
        answer = cluster.cancel(task_id)
        assert (answer.status_code, answer.json()["status"]) == (httpx.codes.OK, "cancelled"), answer.text

    finished = cluster.submit("echo")
    cluster.wait_until(finished, "completed", within=WITHIN)
    assert cluster.cancel(finished).status_code == httpx.codes.CONFLICT


def test_progress_and_at_most_a_thousand_lines_arrive(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "go"
    task_id = cluster.submit("chatter", {"lines": 1203, "path": str(path)})
    wait_for(
        lambda: (cluster.task(task_id)["progress"] or {}).get("fraction") == 0.5,
        within=WITHIN,
        what="the progress",
    )

    path.touch()
    cluster.wait_until(task_id, "completed", within=WITHIN)

    query = "SELECT message FROM task_logs WHERE task_id = %s ORDER BY seq"
    lines = [row[0] for row in cluster.postgres.run(query, (task_id,), database=cluster.database)]
    assert lines[:1000] == [f"line {number}" for number in range(1000)]
    assert len(lines) == 1001
    assert "203 more lines were dropped" in lines[-1]


def test_a_critical_task_overtakes_what_waits(cluster: Cluster) -> None:
    ids = [cluster.submit("sleep", {"seconds": 0.2}, priority=1) for _ in range(20)]
    urgent = cluster.submit("echo", priority=15)

    started = cluster.wait_until(urgent, "completed", within=WITHIN)["started_at"]

    ended = cluster.wait_for_ends(ids, within=30)
    assert sum(task["started_at"] > started for task in ended.values()) >= 10
