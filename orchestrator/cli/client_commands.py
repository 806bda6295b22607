"""The client's commands: submit, get, tasks, agents, cancel.

Exit codes: 0 done; 1 the task did not complete (or could not be cancelled); 2 wrong usage or settings; 3 the
request was refused; 4 the orchestrator could not be reached or is not ready; 5 the task has not ended yet.
"""

from __future__ import annotations

import functools
import json
import sys
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ParamSpec

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.client import Client, ServerFaultError, WaitTimeoutError
from orchestrator.errors import (
    ConflictError,
    OrchestratorError,
    RejectedError,
    SettingsError,
    UnavailableError,
)
from orchestrator.tasks.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.client import AgentInfo, Task

P = ParamSpec("P")

DEFAULT_WAIT_SECONDS = 300.0
MAX_CELL_CHARACTERS = 200
LEAST_WIDTHS = {"task": 36, "status": 9, "type": 12, "agent": 8}
PIPE_WIDTH = 400


class ExitCode(IntEnum):
    """What the shell is told."""

    DONE = 0
    NOT_COMPLETED = 1
    USAGE = 2
    REFUSED = 3
    UNAVAILABLE = 4
    NOT_ENDED = 5


EXIT_CODES = (
    "Exit codes: 0 done; 1 the task did not complete or could not be cancelled; 2 wrong usage or settings; "
    "3 the request was refused; 4 the orchestrator is away; 5 the task has not ended yet."
)
_COLOURS = {
    "completed": "green",
    "healthy": "green",
    "running": "cyan",
    "failed": "red",
    "timeout": "red",
    "offline": "red",
}


def _command(run: Callable[P, ExitCode]) -> Callable[P, None]:
    """Turn the engine's errors into one line on stderr and an exit code."""

    @functools.wraps(run)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = run(*args, **kwargs)
        except OrchestratorError as error:
            click.echo(f"orchestrator: {_printable(str(error))}", err=True)
            code = _exit_code(error)
        sys.exit(code)

    return wrapped


def _exit_code(error: OrchestratorError) -> ExitCode:
    match error:
        case WaitTimeoutError():
            return ExitCode.NOT_ENDED
        case ConflictError():
            return ExitCode.NOT_COMPLETED
        case RejectedError():
            return ExitCode.REFUSED
        case SettingsError():
            return ExitCode.USAGE
        case UnavailableError() | ServerFaultError():
            return ExitCode.UNAVAILABLE
        case _:
            return ExitCode.REFUSED


_url = click.option("--url", help="Where the API is; else ORCHESTRATOR_URL, else the local stack.")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
_wait = click.option("--wait", is_flag=True, help="Wait until the task has ended.")
_timeout = click.option(
    "--timeout",
    "wait_seconds",
    type=click.FloatRange(0),
    default=DEFAULT_WAIT_SECONDS,
    show_default=True,
    help="Seconds to wait at most.",
)


@click.command(epilog=EXIT_CODES)
@click.argument("agent_type")
@click.argument("task_type")
@click.option(
    "-p",
    "--parameter",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="One parameter: JSON where the value is some and the schema does not ask for a text, else text.",
)
@click.option("--params-file", type=click.File("rb"), help="Parameters as a JSON object; '-' reads stdin.")
@click.option("--agent-id", help="Run it on this agent only.")
@click.option("--priority", type=click.IntRange(1, 15))
@click.option("--timeout-seconds", type=click.IntRange(1), help="Soft time limit of one run.")
@click.option("--max-retries", type=click.IntRange(0, 100))
@_wait
@_timeout
@_as_json
@_url
@_command
def submit(
    *,
    agent_type: str,
    task_type: str,
    pairs: tuple[str, ...],
    params_file: Any,
    agent_id: str | None,
    priority: int | None,
    timeout_seconds: int | None,
    max_retries: int | None,
    wait: bool,
    wait_seconds: float,
    as_json: bool,
    url: str | None,
) -> ExitCode:
    """Submit a task to agents of AGENT_TYPE."""
    with Client(url) as client:
        parameters = _parameters_of(params_file) | _parameters(client, agent_type, task_type, pairs)
        task = client.submit(
            agent_type,
            task_type,
            parameters,
            agent_id=agent_id,
            priority=priority,
            timeout_seconds=timeout_seconds,
            max_retries=max_retries,
        )
        return _follow(task, wait=wait, wait_seconds=wait_seconds, as_json=as_json)


@click.command(epilog=EXIT_CODES)
@click.argument("task_id")
@_wait
@_timeout
@_as_json
@_url
@_command
def get(*, task_id: str, wait: bool, wait_seconds: float, as_json: bool, url: str | None) -> ExitCode:
    """Show one task."""
    with Client(url) as client:
        return _follow(client.get(task_id), wait=wait, wait_seconds=wait_seconds, as_json=as_json)


@click.command(epilog=EXIT_CODES)
@click.option("--status", "statuses", multiple=True, type=click.Choice([str(status) for status in Status]))
@click.option("--agent-type")
@click.option("--task-type")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@_as_json
@_url
@_command
def tasks(
    *,
    statuses: tuple[str, ...],
    agent_type: str | None,
    task_type: str | None,
    limit: int,
    as_json: bool,
    url: str | None,
) -> ExitCode:
    """List tasks, newest first."""
    with Client(url) as client:
        found = client.tasks(status=statuses, agent_type=agent_type, task_type=task_type, limit=limit)
    if as_json:
        click.echo(json.dumps({"tasks": [task.raw for task in found], "count": len(found)}))
    else:
        columns = ("task", "type", "status", "agent", "created", "waiting for / error")
        _print_table(columns, [_task_cells(task) for task in found])
    return ExitCode.DONE


@click.command(epilog=EXIT_CODES)
@_as_json
@_url
@_command
def agents(*, as_json: bool, url: str | None) -> ExitCode:
    """List the agents."""
    with Client(url) as client:
        found = client.agents()
    if as_json:
        click.echo(json.dumps({"agents": [agent.raw for agent in found], "count": len(found)}))
    else:
        columns = ("agent", "type", "status", "running", "version", "task types")
        _print_table(columns, [_agent_cells(agent) for agent in found])
    return ExitCode.DONE


@click.command(epilog=EXIT_CODES)
@click.argument("task_id")
@_as_json
@_url
@_command
def cancel(*, task_id: str, as_json: bool, url: str | None) -> ExitCode:
    """Cancel a task."""
    with Client(url) as client:
        cancelled = client.cancel(task_id)
    said = "cancelled" if cancelled else "cancel requested; its agent has not answered yet"
    click.echo(json.dumps({"task_id": task_id, "cancelled": cancelled}) if as_json else f"{task_id} {said}")
    return ExitCode.DONE if cancelled else ExitCode.NOT_ENDED


COMMANDS: dict[str, click.Command] = {
    "submit": submit,
    "get": get,
    "tasks": tasks,
    "agents": agents,
    "cancel": cancel,
}


def _follow(task: Task, *, wait: bool, wait_seconds: float, as_json: bool) -> ExitCode:
    """Show a task, after its end if that is asked for."""
    if wait and not task.ended:
        try:
            task = task.wait(timeout_seconds=wait_seconds)
        except WaitTimeoutError as error:
            _show(error.task, as_json=as_json)
            raise
    _show(task, as_json=as_json)
    return ExitCode.NOT_COMPLETED if task.ended and task.status is not Status.COMPLETED else ExitCode.DONE


def _show(task: Task, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(task.raw))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name in ("task_id", "agent_type", "task_type", "status", "agent_id", "created_at", "started_at"):
        _add_line(table, name, task.raw.get(name))
    for name in ("completed_at", "attempt", "progress", "waiting_for", "error_code", "error", "result"):
        _add_line(table, name, task.raw.get(name))
    _console().print(table)


def _console() -> Console:
    """Return the terminal; what goes into a file or a pipe is not cut to a terminal's width."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)


def _add_line(table: Table, name: str, value: Any) -> None:
    if value is not None:
        shown = value if isinstance(value, str) else json.dumps(value, indent=2)
        table.add_row(Text(name.replace("_", " "), style="bold"), _cell(shown, limit=None))


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ellipsis", min_width=LEAST_WIDTHS.get(column))
    for row in rows:
        table.add_row(*(_cell(value.replace("\n", " ")) for value in row))
    _console().print(table)


def _cell(value: str, *, limit: int | None = MAX_CELL_CHARACTERS) -> Text:
    """Return text that is shown as it is: no markup, no control characters."""
    cut = value if limit is None or len(value) <= limit else value[:limit] + "…"
    return Text(_printable(cut), style=_COLOURS.get(value, ""))


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in text)


def _task_cells(task: Task) -> tuple[str, ...]:
    return (
        task.task_id,
        f"{task.agent_type}.{task.task_type}",
        str(task.status),
        task.agent_id or "",
        (task.created_at or "")[:19],
        task.waiting_for or task.error or "",
    )


def _agent_cells(agent: AgentInfo) -> tuple[str, ...]:
    slots = "" if agent.slots is None else f"/{agent.slots}"
    return (
        agent.agent_id,
        agent.agent_type,
        agent.status,
        f"{agent.running}{slots}",
        agent.version or "",
        ", ".join(agent.task_types),
    )


def _parameters_of(file: Any) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        value = json.load(file)
    except ValueError as error:
        raise click.UsageError(f"--params-file is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise click.UsageError("--params-file must hold a JSON object")
    return value


def _parameters(client: Client, agent_type: str, task_type: str, pairs: Sequence[str]) -> dict[str, Any]:
    """Return -p's parameters.

    What the capability's schema calls a text stays one, so that `-p account_id=123` is what it looks like.
    """
    given: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (name and equals):
            raise click.UsageError(f"-p takes NAME=VALUE, not {pair!r}")
        given[name] = text
    texts = _text_parameters(client, agent_type, task_type) if given else frozenset()
    return {name: text if name in texts else _json_or_text(text) for name, text in given.items()}


def _text_parameters(client: Client, agent_type: str, task_type: str) -> frozenset[str]:
    """Return the parameters that are declared as texts; none if the server does not say."""
    try:
        capabilities = client.capabilities()
    except (RejectedError, UnavailableError):
        return frozenset()
    for item in capabilities:
        if (item["agent_type"], item["task_type"]) == (agent_type, task_type):
            properties = (item["parameters_schema"] or {}).get("properties", {})
            return frozenset(name for name, declared in properties.items() if _is_text(declared))
    return frozenset()


def _is_text(declared: Any) -> bool:
    kinds = declared.get("type") if isinstance(declared, dict) else None
    return set(kinds if isinstance(kinds, list) else [kinds]) <= {"string", "null"} and kinds is not None


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
