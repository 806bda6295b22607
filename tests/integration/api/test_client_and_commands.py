"""`orchestrator.client` and the client's commands against a real API process."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from orchestrator.cli.client_commands import COMMANDS, ExitCode
from orchestrator.client import AccessDeniedError, Client, WaitTimeoutError
from orchestrator.errors import ConflictError, NotFoundError, RejectedError
from orchestrator.tasks.status import Status
from tests.support.outcomes import end_and_announce, end_task

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from orchestrator.ledger.engine import Ledger
    from tests.support.api_process import ApiProcess
    from tests.support.redis import RedisServer


@pytest.fixture
def client(api: ApiProcess) -> Iterator[Client]:
    with Client(api.url, api.key) as client:
        yield client


def command(api: ApiProcess, name: str, *arguments: str, **environ: str) -> Result:
    given = {"ORCHESTRATOR_URL": api.url, "ORCHESTRATOR_API_KEY": api.key, "COLUMNS": "200", **environ}
    return CliRunner().invoke(COMMANDS[name], arguments, env=given)


def said(result: Result) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_client_submits_waits_and_reads(
    client: Client, shared_ledger: Ledger, api_redis: RedisServer
) -> None:
    task = client.submit("probe", "greet", {"name": "Ada"}, metadata={"from": "client"})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(task.wait, timeout_seconds=30)
        end_and_announce(shared_ledger, api_redis, task.task_id)
        done = waiting.result(30)

    assert (done.status, done.result) == (Status.COMPLETED, {"answer": 42})
    assert task.refresh().raw["metadata"] == {"from": "client"}
    assert task.task_id in {found.task_id for found in client.tasks(status="completed", limit=200)}
    with pytest.raises(ConflictError):
        task.cancel()


def test_clients_errors_are_those_of_the_server(client: Client, api: ApiProcess) -> None:
    with pytest.raises(RejectedError) as refusal:
        client.submit("probe", "greet", {}, priority=99)
    assert set(refusal.value.fields) == {"priority", "parameters.name"}
    with pytest.raises(NotFoundError):
        client.get("no-such-task")
    with pytest.raises(WaitTimeoutError, match="no_live_agent"):
        client.submit("probe", "anything").wait(timeout_seconds=0.2)
    with Client(api.url, "wrong") as stranger, pytest.raises(AccessDeniedError):
        stranger.agents()


def test_submit_takes_a_text_for_what_the_schema_calls_a_text(api: ApiProcess) -> None:
    result = command(api, "submit", "probe", "greet", "-p", "name=123", "-p", "times=2", "--json")

    assert result.exit_code == ExitCode.DONE, result.stderr
    shown = said(command(api, "get", said(result)["task_id"], "--json"))
    assert shown["parameters"] == {"name": "123", "times": 2}


def test_submit_takes_json_text_and_a_file(api: ApiProcess, tmp_path: Path) -> None:
    file = tmp_path / "parameters.json"
    file.write_text('{"from_file": true, "n": 1}')
    pairs = ["-p", "n=[1, 2]", "-p", "text=not json", "-p", "empty="]
    result = command(api, "submit", "probe", "anything", *pairs, "--params-file", str(file), "--json")

    shown = said(command(api, "get", said(result)["task_id"], "--json"))
    assert shown["parameters"] == {"from_file": True, "n": [1, 2], "text": "not json", "empty": ""}


@pytest.mark.parametrize(
    ("status", "code"), [("completed", ExitCode.DONE), ("failed", ExitCode.NOT_COMPLETED)]
)
def test_exit_code_says_how_the_task_went(
    api: ApiProcess, shared_ledger: Ledger, status: str, code: ExitCode
) -> None:
    task = api.submit()
    end_task(shared_ledger, task["task_id"], status=status)

    result = command(api, "get", task["task_id"], "--wait")

    assert result.exit_code == code
    assert status in result.stdout
    assert '"answer": 42' in result.stdout


def test_wait_that_is_over_shows_the_task_and_its_own_exit_code(api: ApiProcess) -> None:
    result = command(api, "submit", "probe", "anything", "--wait", "--timeout", "0.3", "--json")

    assert result.exit_code == ExitCode.NOT_ENDED
    assert said(result)["waiting_for"] == "no_live_agent"
    assert "has not ended yet" in result.stderr


def test_refusal_names_the_fields(api: ApiProcess) -> None:
    result = command(api, "submit", "probe", "greet")

    assert result.exit_code == ExitCode.REFUSED
    assert "parameters.name" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["probe", "anything", "-p", "novalue"], ["probe", "anything", "--params-file", __file__], ["probe"]],
)
def test_wrong_usage(api: ApiProcess, arguments: list[str]) -> None:
    assert command(api, "submit", *arguments).exit_code == ExitCode.USAGE


def test_orchestrator_that_is_away(api: ApiProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command(api, "tasks", ORCHESTRATOR_URL="http://127.0.0.1:9").exit_code == ExitCode.UNAVAILABLE
    monkeypatch.chdir(tmp_path)
    result = command(api, "tasks", ORCHESTRATOR_URL="", ORCHESTRATOR_API_KEY="")
    assert result.exit_code == ExitCode.USAGE
    assert "orchestrator up" in result.stderr


def test_lists(api: ApiProcess) -> None:
    task = api.submit()

    assert task["task_id"] in command(api, "tasks", "--limit", "5", "--agent-type", "probe").stdout
    assert said(command(api, "tasks", "--status", "queued", "--status", "pending", "--json"))["count"] >= 1
    assert command(api, "agents").exit_code == ExitCode.DONE
    assert "agents" in said(command(api, "agents", "--json"))


def test_cancel(api: ApiProcess, shared_ledger: Ledger) -> None:
    task = api.submit()
    end_task(shared_ledger, task["task_id"], status="cancelled")
    assert said(command(api, "cancel", task["task_id"], "--json"))["cancelled"] is True

    done = api.submit()
    end_task(shared_ledger, done["task_id"])
    assert command(api, "cancel", done["task_id"]).exit_code == ExitCode.NOT_COMPLETED
    assert command(api, "cancel", "nothing").exit_code == ExitCode.REFUSED


def test_what_a_task_says_cannot_colour_or_move_the_terminal(api: ApiProcess, shared_ledger: Ledger) -> None:
    task = api.submit()
    end_task(shared_ledger, task["task_id"], result='"[red]markup[/red] \\u001b[31mred"')

    shown = command(api, "get", task["task_id"]).stdout

    assert "[red]markup[/red]" in shown
    assert "\x1b[31m" not in shown
