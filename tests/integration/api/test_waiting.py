"""Held requests: woken by the announcement, answered at the deadline, let go when the process stops."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.outcomes import end_and_announce, end_task
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from concurrent.futures import Future

    import httpx

    from orchestrator.ledger.engine import Ledger
    from tests.support.api_process import ApiProcess
    from tests.support.redis import RedisServer


def wait_until_held(api: ApiProcess, count: int) -> None:
    wait_for(
        lambda: api.http.get("/health/system").json()["waiting_requests"] >= count, what="a held request"
    )


def newest_task(api: ApiProcess, metadata: dict[str, bool]) -> dict[str, Any] | None:
    newest: dict[str, Any] = api.http.get("/tasks", params={"limit": 1}).json()["tasks"][0]
    return newest if newest["metadata"] == metadata else None


def hold(api: ApiProcess, pool: ThreadPoolExecutor, path: str) -> Future[httpx.Response]:
    held = pool.submit(api.http.get, path)
    wait_until_held(api, 1)
    return held


def test_wait_is_woken_when_the_task_ends(
    api: ApiProcess, shared_ledger: Ledger, api_redis: RedisServer
) -> None:
    task = api.submit()
    with ThreadPoolExecutor(1) as pool:
        held = hold(api, pool, f"{task['status_url']}?wait=60")

        ended_at = time.monotonic()
        end_and_announce(shared_ledger, api_redis, task["task_id"])
        answer = held.result(10).json()

    assert time.monotonic() - ended_at < 2
    assert (answer["status"], answer["result"], answer["waiting_for"]) == ("completed", {"answer": 42}, None)


def test_submission_with_wait_carries_the_whole_task(
    api: ApiProcess, shared_ledger: Ledger, api_redis: RedisServer
) -> None:
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(api.submit, "?wait=60", metadata={"held": True})
        newest = wait_for(lambda: newest_task(api, {"held": True}), what="the submission")
        end_and_announce(shared_ledger, api_redis, newest["task_id"])
        answer = held.result(10)

    assert (answer["task_id"], answer["status"], answer["attempt"]) == (newest["task_id"], "completed", 0)


def test_wait_ends_at_its_deadline_with_how_the_task_stands(api: ApiProcess) -> None:
    started = time.monotonic()
    answer = api.submit("?wait=0.5")

    assert 0.5 <= time.monotonic() - started < 3
    assert (answer["status"], answer["result"]) == ("pending", None), "no controller records here"


def test_wait_for_a_task_that_has_ended_is_no_wait(api: ApiProcess, shared_ledger: Ledger) -> None:
    task = api.submit()
    end_task(shared_ledger, task["task_id"], status="failed")

    started = time.monotonic()
    answer = api.http.get(f"{task['status_url']}?wait=60").json()

    assert answer["status"] == "failed"
    assert time.monotonic() - started < 5


def test_held_requests_are_answered_when_the_process_stops(own_api: tuple[ApiProcess, Ledger]) -> None:
    api, _ = own_api
    task = api.submit()
    with ThreadPoolExecutor(1) as pool:
        held = hold(api, pool, f"{task['status_url']}?wait=60")
        started = time.monotonic()
        api.terminate()
        answer = held.result(20)

    assert time.monotonic() - started < 10
    assert answer.json()["status"] == "pending"


def test_wait_survives_the_loss_of_redis(
    own_api: tuple[ApiProcess, Ledger], own_redis_server: RedisServer
) -> None:
    api, ledger = own_api
    task = api.submit()
    with ThreadPoolExecutor(1) as pool:
        held = hold(api, pool, f"{task['status_url']}?wait=60")
        own_redis_server.kill()
        end_task(ledger, task["task_id"])
        own_redis_server.start()
        own_redis_server.bless()

        answer = held.result(20).json()

    assert answer["status"] == "completed", "after a new connection everything is read again"


@pytest.mark.parametrize("wait", ["61", "-1", "nan", "x", ""])
def test_wait_out_of_range_is_refused(api: ApiProcess, wait: str) -> None:
    response = api.http.post("/tasks", params={"wait": wait}, json={})

    assert response.status_code == 422
    assert "wait" in response.json()["errors"]
