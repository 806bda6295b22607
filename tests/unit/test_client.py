"""The client against answers made by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from orchestrator import client as module
from orchestrator.client import AccessDeniedError, Client, ServerFaultError, Task, WaitTimeoutError, locate
from orchestrator.errors import ConflictError, NotFoundError, RejectedError, SettingsError, UnavailableError
from orchestrator.tasks.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TASK = {"task_id": "t-1", "status": "queued", "agent_type": "cost", "task_type": "analyze_cost"}


def speak(answer: Callable[[httpx.Request], httpx.Response]) -> Client:
    return Client("http://server", "key", transport=httpx.MockTransport(answer))


def answering(*answers: httpx.Response | Exception) -> tuple[Client, list[httpx.Request]]:
    asked: list[httpx.Request] = []
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        said = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(said, Exception):
            raise said
        return said

    return speak(answer), asked


def problem(status: int, **members: Any) -> httpx.Response:
    body = {"code": "c", "error": "what is wrong", "errors": {}, **members}
    return httpx.Response(status, json=body, headers={"X-Request-ID": "r-1"})


def test_submission_sends_only_what_is_given_and_shows_the_key() -> None:
    client, asked = answering(httpx.Response(201, json=TASK))

    task = client.submit("cost", "analyze_cost", {"account_id": "1"}, max_retries=0)

    assert json.loads(asked[0].content) == {
        "agent_type": "cost",
        "task_type": "analyze_cost",
        "parameters": {"account_id": "1"},
        "max_retries": 0,
    }
    assert asked[0].headers["Authorization"] == "Bearer key"
    assert (task.task_id, task.status, task.ended) == ("t-1", Status.QUEUED, False)


def test_a_text_that_is_no_utf_8_is_sent_as_it_is() -> None:
    client, requests = answering(httpx.Response(201, json=TASK))

    client.submit("cost", "analyze_cost", {"note": "half a pair \ud800"})

    assert json.loads(requests[0].content)["parameters"] == {"note": "half a pair \ud800"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RejectedError), (401, AccessDeniedError), (403, AccessDeniedError), (404, NotFoundError),
        (409, ConflictError), (413, RejectedError), (422, RejectedError), (429, UnavailableError),
        (500, ServerFaultError), (502, UnavailableError), (503, UnavailableError),
    ],
)  # fmt: skip
def test_error_says_who_must_act(status: int, kind: type[Exception]) -> None:
    client, _ = answering(problem(status, errors={"priority": ["must be 1 to 15"]}))

    with pytest.raises(kind, match="what is wrong") as raised:
        client.get("t-1")
    if status == 422:
        assert isinstance(raised.value, RejectedError)
        assert raised.value.fields == {"priority": ["must be 1 to 15"]}
    if status == 500:
        assert "r-1" in str(raised.value)


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
def test_server_out_of_reach_is_unavailable(error: Exception) -> None:
    client, _ = answering(error)

    with pytest.raises(UnavailableError, match="http://server"):
        client.get("t-1")


def test_answer_that_is_no_json_is_a_fault() -> None:
    client, _ = answering(httpx.Response(200, text="<html>"))

    with pytest.raises(ServerFaultError):
        client.get("t-1")


def test_wait_survives_outages_and_ends_with_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    done = httpx.Response(200, json={**TASK, "status": "completed", "result": {"total": "1.10"}})
    client, asked = answering(
        httpx.Response(201, json=TASK),
        problem(503),
        httpx.ConnectError("x"),
        httpx.Response(200, json=TASK),
        done,
    )

    task = client.submit("cost", "analyze_cost").wait(timeout_seconds=30)

    assert task.result == {"total": "1.10"}
    assert task.ended
    assert all(request.url.params["wait"] == "20" for request in asked[2:4])


def test_wait_ends_in_time_with_how_the_task_stands() -> None:
    client, _ = answering(httpx.Response(200, json={**TASK, "waiting_for": "agents_busy"}))

    with pytest.raises(WaitTimeoutError, match="agents_busy") as raised:
        client.wait("t-1", timeout_seconds=0)
    assert raised.value.task.status is Status.QUEUED


def test_wait_during_an_outage_ends_as_unavailable() -> None:
    client, _ = answering(httpx.ConnectError("refused"))

    with pytest.raises(UnavailableError):
        client.wait("t-1", timeout_seconds=0)


def test_list_follows_the_pages_to_its_limit() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("cursor", "0"))
        count = int(request.url.params["limit"])
        page = [{**TASK, "task_id": f"t-{n}"} for n in range(start, start + count)]
        return httpx.Response(200, json={"tasks": page, "count": count, "next_cursor": str(start + count)})

    with speak(answer) as client:
        found = client.tasks(status=["failed", "timeout"], agent_type="cost", limit=450)

    assert [task.task_id for task in found] == [f"t-{n}" for n in range(450)]


def test_list_ends_with_the_last_page() -> None:
    client, asked = answering(httpx.Response(200, json={"tasks": [TASK], "count": 1, "next_cursor": None}))

    assert len(client.tasks(status="failed", limit=1000)) == 1
    assert asked[0].url.query == b"status=failed&limit=200"


@pytest.mark.parametrize(("status", "cancelled"), [("cancelled", True), ("running", False)])
def test_cancel(status: str, cancelled: bool) -> None:
    client, asked = answering(httpx.Response(200, json={"status": status}))

    assert client.cancel("t-1") is cancelled
    assert asked[0].method == "DELETE"


def test_agents() -> None:
    item = {"agent_id": "cost-1", "agent_type": "cost", "status": "healthy", "slots": 2, "running": 1,
            "capabilities": [{"task_type": "analyze_cost"}]}  # fmt: skip
    client, _ = answering(httpx.Response(200, json={"agents": [item], "count": 1}))

    agent = client.agents()[0]

    assert (agent.agent_id, agent.task_types, agent.slots) == ("cost-1", ("analyze_cost",), 2)


@pytest.mark.parametrize("task_id", ["a/b", "..", "a?b=c", "ä", "%2F", "", "x" * 65, "\n"])
def test_what_can_be_no_id_is_not_asked_for(task_id: str) -> None:
    client, asked = answering(problem(500))

    with pytest.raises(NotFoundError):
        client.get(task_id)
    with pytest.raises(NotFoundError):
        client.cancel(task_id)
    assert asked == []


def test_task_without_a_client_says_so() -> None:
    with pytest.raises(SettingsError):
        Task("t-1", Status.QUEUED, "cost", "analyze_cost").refresh()


def write_stack(folder: Path) -> Path:
    file = folder / "connection.json"
    file.write_text(json.dumps({"url": "http://127.0.0.1:8080", "api_key": "stack-key"}))
    return file


def test_argument_wins_over_environment_wins_over_the_local_stack(tmp_path: Path) -> None:
    file = write_stack(tmp_path)
    environ = {"ORCHESTRATOR_URL": "http://env", "ORCHESTRATOR_API_KEY": "env-key"}

    assert locate("http://arg", "arg-key", environ, file) == ("http://arg", "arg-key")
    assert locate(None, None, environ, file) == ("http://env", "env-key")
    assert locate(None, None, {}, file) == ("http://127.0.0.1:8080", "stack-key")


def test_local_stacks_key_is_shown_to_the_local_stack_only(tmp_path: Path) -> None:
    file = write_stack(tmp_path)

    assert locate("http://elsewhere", None, {}, file) == ("http://elsewhere", None)
    assert locate("http://127.0.0.1:8080/", None, {}, file) == ("http://127.0.0.1:8080/", "stack-key")


def test_nowhere_to_go_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ORCHESTRATOR_URL"):
        locate(None, None, {}, tmp_path / "connection.json")
    with pytest.raises(SettingsError, match="http"):
        locate("server:8080", "key", {}, tmp_path / "connection.json")
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    with pytest.raises(SettingsError, match="cannot be read"):
        locate(None, None, {}, broken)
