"""Cancelling, on a real API process, PostgreSQL and Redis; the outcomes are written by hand."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from orchestrator.broker import keys
from orchestrator.ledger.tasks import get_task
from tests.support.outcomes import end_and_announce, end_task
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from orchestrator.ledger.engine import Ledger
    from tests.support.api_process import ApiProcess
    from tests.support.redis import RedisServer


def wait_for_wish(ledger: Ledger, task_id: str) -> None:
    def is_there() -> bool:
        with ledger.transaction() as connection:
            row = get_task(connection, "default", uuid.UUID(task_id))
        return row is not None and row.cancel_requested_at is not None

    wait_for(is_there, what="the wish")


@pytest.mark.parametrize(("method", "suffix"), [("DELETE", ""), ("POST", "/cancel")])
def test_cancel_answers_when_the_ledger_says_cancelled(
    api: ApiProcess, shared_ledger: Ledger, api_redis: RedisServer, method: str, suffix: str
) -> None:
    task = api.submit()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(api.http.request, method, task["status_url"] + suffix)
        wait_for_wish(shared_ledger, task["task_id"])
        end_and_announce(shared_ledger, api_redis, task["task_id"], status="cancelled")
        response = asked.result(20)

    assert response.status_code == 200
    assert response.json() == {
        "message": "Task cancelled successfully",
        "task_id": task["task_id"],
        "status": "cancelled",
    }
    with api_redis.client() as client:
        assert client.hget(keys.task_key(task["task_id"]), "s") == "ended"
    again = api.http.delete(task["status_url"])
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")


def test_cancel_of_a_task_that_ended_otherwise_is_a_conflict(api: ApiProcess, shared_ledger: Ledger) -> None:
    task = api.submit()
    end_task(shared_ledger, task["task_id"])

    response = api.http.delete(task["status_url"])

    assert response.status_code == 409
    assert response.json()["code"] == "task_ended"


def test_cancel_that_loses_the_race_is_a_conflict(
    api: ApiProcess, shared_ledger: Ledger, api_redis: RedisServer
) -> None:
    task = api.submit()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(api.http.delete, task["status_url"])
        wait_for_wish(shared_ledger, task["task_id"])
        end_and_announce(shared_ledger, api_redis, task["task_id"])

        assert asked.result(20).status_code == 409


def test_cancel_that_nobody_settles_is_accepted_after_five_seconds(api: ApiProcess) -> None:
    task = api.submit()
    started = time.monotonic()
    response = api.http.delete(task["status_url"])

    assert response.status_code == 202
    assert response.json()["cancel_requested"] is True
    assert 5 <= time.monotonic() - started < 8
    assert api.http.get(task["status_url"]).json()["cancel_requested"] is True


def test_cancel_while_the_broker_is_away_is_a_wish_written_down(
    own_api: tuple[ApiProcess, Ledger], own_redis_server: RedisServer
) -> None:
    api, _ = own_api
    task = api.submit()
    own_redis_server.kill()
    started = time.monotonic()

    response = api.http.delete(task["status_url"])

    assert response.status_code == 202
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("task_id", [str(uuid.uuid4()), "x", "%00", "../tasks"])
def test_cancel_of_no_task_is_404(api: ApiProcess, task_id: str) -> None:
    assert api.http.delete(f"/tasks/{task_id}").status_code in {404, 405}
