"""Submissions, on a real API process, PostgreSQL and Redis."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from orchestrator.broker import keys
from orchestrator.ledger.tasks import get_task
from orchestrator.tasks.status import Status
from tests.support.api_process import ANYTHING

if TYPE_CHECKING:
    from orchestrator.ledger.engine import Ledger
    from orchestrator.ledger.tasks import TaskRow
    from tests.support.api_process import ApiProcess
    from tests.support.redis import RedisServer


def read_row(ledger: Ledger, task_id: str) -> TaskRow:
    with ledger.transaction() as connection:
        row = get_task(connection, "default", uuid.UUID(task_id))
    assert row is not None
    return row


@pytest.mark.parametrize("path", ["/tasks", "/tasks/create"])
def test_accepted_task_is_in_the_ledger_and_on_its_queue(
    api: ApiProcess, shared_ledger: Ledger, api_redis: RedisServer, path: str
) -> None:
    response = api.http.post(
        path, json={"agent_type": "probe", "task_type": "greet", "parameters": {"name": "Ada"}}
    )

    assert response.status_code == 201
    answer = response.json()
    assert set(answer) == {
        "task_id", "status", "agent_id", "agent_type", "task_type", "created_at", "status_url"
    }  # fmt: skip
    assert answer["status"] == "queued"
    assert response.headers["Location"] == answer["status_url"] == f"/tasks/{answer['task_id']}"
    assert uuid.UUID(answer["task_id"]).version == 7
    row = read_row(shared_ledger, answer["task_id"])
    assert json.loads(row.parameters_json) == {"name": "Ada"}
    with api_redis.client() as client:
        assert client.hget(keys.task_key(answer["task_id"]), "d") == "1"


def test_silence_takes_the_capabilitys_defaults_and_null_and_zero_are_silence(
    api: ApiProcess, shared_ledger: Ledger
) -> None:
    silent = {"priority": 0, "timeout_seconds": 0, "max_retries": None, "agent_id": None, "metadata": None}
    silent["callback_url"] = None
    response = api.http.post(
        "/tasks",
        json={"agent_type": "probe", "task_type": "greet", "parameters": {"name": "Ada"}, **silent},
    )

    row = read_row(shared_ledger, response.json()["task_id"])
    assert (row.priority, row.timeout_seconds, row.max_retries, row.metadata) == (5, 77, 3, {})


def test_a_callback_is_refused_rather_than_forgotten(api: ApiProcess) -> None:
    response = api.http.post(
        "/tasks", json={"agent_type": "probe", "task_type": "anything", "callback_url": "http://example.org/"}
    )

    assert response.status_code == 422
    assert "callback_url" in response.json()["errors"]


def test_zero_retries_are_not_silence(api: ApiProcess, shared_ledger: Ledger) -> None:
    answer = api.submit(max_retries=0, retry_delay_seconds=0)

    row = read_row(shared_ledger, answer["task_id"])
    assert (row.max_retries, row.retry_delay_seconds) == (0, 0)


def test_what_is_given_is_kept(api: ApiProcess, shared_ledger: Ledger) -> None:
    given = {"priority": 15, "timeout_seconds": 300, "max_retries": 100, "metadata": {"team": "ä", "n": 1.5}}
    answer = api.submit(**given, expires_seconds=60)

    shown = api.http.get(answer["status_url"]).json()
    assert {name: shown[name] for name in given} == given
    assert shown["expires_at"] > shown["created_at"]
    assert read_row(shared_ledger, answer["task_id"]).request_id == shown["request_id"]


def test_parameters_come_back_as_the_text_that_was_sent(api: ApiProcess) -> None:
    sent = '{"nul": "\\u0000", "half": "\\ud800", "exact": 1234567890123456789.0123456789, "ä":1.10}'
    response = api.http.post(
        "/tasks",
        content=json.dumps(ANYTHING)[:-1] + f', "parameters": {sent}}}',
        headers={"Content-Type": "application/json"},
    )

    assert response.status_code == 201, response.text
    assert sent in api.http.get(response.json()["status_url"]).text


def test_delayed_task_waits_in_the_ledger(api: ApiProcess, shared_ledger: Ledger) -> None:
    due = datetime.now(UTC) + timedelta(hours=1)
    for given in ({"run_at": due.isoformat()}, {"delay_seconds": 3600}):
        answer = api.submit(**given)

        shown = api.http.get(answer["status_url"]).json()
        assert (answer["status"], shown["status"], shown["waiting_for"]) == ("pending", "pending", "not_due")
        assert abs(datetime.fromisoformat(shown["run_at"]) - due) < timedelta(seconds=60)


def test_task_says_that_no_agent_is_alive(api: ApiProcess) -> None:
    answer = api.submit()

    assert api.http.get(answer["status_url"]).json()["waiting_for"] == "no_live_agent"


def test_capability_nobody_registered_is_refused_with_the_near_names(api: ApiProcess) -> None:
    response = api.http.post("/tasks", json={"agent_type": "probe", "task_type": "gret"})

    assert response.status_code == 422
    assert "greet" in response.json()["errors"]["task_type"][0]


def test_unknown_agent_is_refused(api: ApiProcess) -> None:
    response = api.http.post("/tasks", json={**ANYTHING, "agent_id": "nobody-1"})

    assert response.status_code == 422
    assert "agent_id" in response.json()["errors"]


def test_capability_of_an_agent_that_just_came_is_accepted_before_the_ledger_knows_it(
    api: ApiProcess, api_redis: RedisServer
) -> None:
    register(api_redis, "fresh-1", "fresh", "just_here")

    response = api.http.post("/tasks", json={"agent_type": "fresh", "task_type": "just_here"})

    assert response.status_code == 201, response.text
    listed = {agent["agent_id"] for agent in api.http.get("/agents/list").json()["agents"]}
    assert "fresh-1" in listed
    assert api.http.get("/health/agents").json()["counts"]["healthy"] >= 1
    assert api.http.get("/health/fresh-1").json()["status"] == "healthy"
    pinned = api.http.post(
        "/tasks", json={"agent_type": "fresh", "task_type": "just_here", "agent_id": "fresh-1"}
    )
    assert pinned.status_code == 201
    elsewhere = api.http.post("/tasks", json={**ANYTHING, "agent_id": "fresh-1"})
    assert elsewhere.status_code == 422


def test_fifty_submissions_at_once_share_few_commits(api: ApiProcess, shared_ledger: Ledger) -> None:
    def submit(_: int) -> str:
        return str(api.submit()["task_id"])

    with ThreadPoolExecutor(50) as pool:
        ids = list(pool.map(submit, range(200)))

    assert len(set(ids)) == 200
    with shared_ledger.transaction() as connection:
        commits = connection.execute(
            text("SELECT count(DISTINCT created_at) FROM tasks WHERE id = ANY(CAST(:ids AS uuid[]))"),
            {"ids": ids},
        ).scalar_one()
    assert commits <= 150, "created_at is the time of the transaction: one for each commit"


def test_list_pages_newest_first_without_gaps(api: ApiProcess) -> None:
    sent = [api.submit(metadata={"n": n})["task_id"] for n in range(7)]

    found: list[str] = []
    query: dict[str, Any] = {"limit": 3, "agent_type": "probe", "task_type": "anything"}
    while len(found) < len(sent):
        page = api.http.get("/tasks", params=query).json()
        assert page["count"] == len(page["tasks"]) == 3
        found += [task["task_id"] for task in page["tasks"]]
        query["cursor"] = page["next_cursor"]

    assert found[:7] == sent[::-1]


def test_list_filters_by_several_statuses(api: ApiProcess) -> None:
    api.submit()
    query = [("status", str(Status.QUEUED)), ("status", str(Status.PENDING)), ("limit", "200")]

    statuses = {task["status"] for task in api.http.get("/tasks", params=query).json()["tasks"]}

    assert statuses <= {"queued", "pending"}
    assert api.http.get("/tasks", params={"status": "sent"}).json() == {
        "tasks": [],
        "count": 0,
        "next_cursor": None,
    }


def register(api_redis: RedisServer, agent_id: str, agent_type: str, *task_types: str) -> None:
    """Put an agent into the registry that has just beaten."""
    record = {
        "agent_id": agent_id,
        "agent_name": agent_id,
        "agent_type": agent_type,
        "kind": "celery",
        "slots": 2,
        "capabilities": [
            {"task_type": name, "parameters_schema": None, "defaults": {}} for name in task_types
        ],
    }
    with api_redis.client() as client:
        seconds, micros = client.time()
        client.sadd(keys.AGENTS, agent_id)
        client.hset(
            keys.agent_key(agent_id),
            mapping={
                "record": json.dumps(record),
                "incarnation": uuid.uuid4().hex,
                "status": "healthy",
                "load": "{}",
                "at": str(seconds * 1000 + micros / 1000),
                "seq": "1",
                "run_id": "x",
                "running": "0",
                "in_hand": "",
            },
        )
