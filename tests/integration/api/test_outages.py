"""PostgreSQL frozen, Redis killed or frozen, under load."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sqlalchemy import text

from tests.support.api_process import ANYTHING
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    import httpx

    from orchestrator.ledger.engine import Ledger
    from tests.support.api_process import ApiProcess
    from tests.support.postgres import PostgresServer
    from tests.support.redis import RedisServer

REQUESTS = 50


def timed_post(api: ApiProcess) -> tuple[float, httpx.Response]:
    started = time.monotonic()
    response = api.http.post("/tasks", json=ANYTHING)
    return time.monotonic() - started, response


def storm(api: ApiProcess, count: int = REQUESTS) -> list[tuple[float, httpx.Response]]:
    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(timed_post, api) for _ in range(count)]]


def test_frozen_ledger_is_503_within_two_seconds_for_everybody(
    own_api: tuple[ApiProcess, Ledger], own_postgres_server: PostgresServer
) -> None:
    api, ledger = own_api
    accepted = [api.submit()["task_id"]]
    own_postgres_server.freeze()
    try:
        answers = storm(api)
        ready = api.http.get("/health/ready")
    finally:
        own_postgres_server.thaw()

    assert Counter(response.status_code for _, response in answers) == {503: REQUESTS}
    assert max(seconds for seconds, _ in answers) < 2
    assert all(response.headers["Retry-After"] for _, response in answers)
    assert ready.status_code == 503
    accepted += [response.json()["task_id"] for _, response in storm(api, 8)]
    with ledger.transaction() as connection:
        kept = connection.execute(text("SELECT id::text FROM tasks")).scalars().all()
    assert sorted(kept) == sorted(accepted), "what was answered 503 was not accepted"


def test_killed_ledger_is_503_and_its_return_needs_no_restart(
    own_api: tuple[ApiProcess, Ledger], own_postgres_server: PostgresServer
) -> None:
    api, _ = own_api
    own_postgres_server.stop()
    answers = storm(api, 10)
    assert {response.status_code for _, response in answers} == {503}
    assert max(seconds for seconds, _ in answers) < 2

    own_postgres_server.start()

    assert api.submit()["status"] == "queued"


def test_broker_away_is_201_pending_and_costs_its_bound_once(
    own_api: tuple[ApiProcess, Ledger], own_redis_server: RedisServer
) -> None:
    api, _ = own_api
    assert api.submit()["status"] == "queued"
    own_redis_server.freeze()
    first_seconds, first = timed_post(api)
    answers = storm(api)
    ready = api.http.get("/health/ready").json()
    task = api.http.get(first.json()["status_url"]).json()

    own_redis_server.thaw()

    assert (first.status_code, first.json()["status"]) == (201, "pending")
    assert first_seconds < 2
    assert Counter((response.status_code, response.json()["status"]) for _, response in answers) == {
        (201, "pending"): REQUESTS
    }
    assert ready["status"] == "degraded"
    assert task["waiting_for"] == "broker"
    wait_until_queued(api)


def test_killed_broker_is_noticed_when_it_is_back(
    own_api: tuple[ApiProcess, Ledger], own_redis_server: RedisServer
) -> None:
    api, _ = own_api
    own_redis_server.kill()
    seconds, response = timed_post(api)
    assert (response.status_code, response.json()["status"]) == (201, "pending")
    assert seconds < 2
    assert api.http.get("/agents/list").status_code == 503

    own_redis_server.start()
    own_redis_server.bless()

    wait_until_queued(api)


def wait_until_queued(api: ApiProcess) -> None:
    """Submit until the broker is known to be back."""
    wait_for(lambda: api.submit()["status"] == "queued", what="the broker's return")
