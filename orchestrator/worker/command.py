"""`orchestrator worker`: start an agent as a Celery worker."""

from __future__ import annotations

import importlib
import logging
import re
import socket
import sys
from pathlib import Path
from typing import NoReturn

import click

from orchestrator.agent import Agent
from orchestrator.errors import OrchestratorError

DEFAULT_CONCURRENCY = 2
MAX_CONCURRENCY = 256


def _require_name(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    if name is not None and not re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", name):
        raise click.BadParameter("a name is 1 to 128 characters of A-Z, a-z, 0-9, '_', '.', '-'")
    return name


@click.command()
@click.argument("target", metavar="MODULE:ATTRIBUTE")
@click.option(
    "--name",
    callback=_require_name,
    help="Name of this agent, unique among the live ones; by default its type and host.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, MAX_CONCURRENCY),
    default=DEFAULT_CONCURRENCY,
    show_default=True,
    help="Tasks that it runs at a time.",
)
@click.option(
    "--loglevel", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option("--print-type", is_flag=True, help="Print the agent's type and end.")
def worker(target: str, name: str | None, concurrency: int, loglevel: str, print_type: bool) -> None:
    """Run the agent found at MODULE:ATTRIBUTE, for example workers.cost:agent.

    The module is looked for in the current folder first, then on PYTHONPATH and among the installed packages.
    Redis is found by REDIS_URL (or REDIS_ADDR and REDIS_PASSWORD). SIGTERM lets running tasks finish.
    """
    agent = load_agent(target)
    if print_type:
        click.echo(agent.agent_type)
        return
    _start(agent, name, concurrency, loglevel)


def load_agent(target: str) -> Agent:
    """Import the agent that `module:attribute` names. Raises click.UsageError with what is wrong."""
    module_name, _, attribute = target.partition(":")
    if not sys.flags.safe_path and not sys.flags.isolated and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and module_name.startswith(error.name):
            raise click.UsageError(f"no module {error.name!r} here, on PYTHONPATH or installed") from error
        raise click.UsageError(f"{module_name} cannot be imported: {error}") from error
    except OrchestratorError as error:
        raise click.UsageError(f"{module_name} is declared wrongly: {error}") from error
    agent = getattr(module, attribute or "agent", None)
    if not isinstance(agent, Agent):
        raise click.UsageError(f"{module_name} has no Agent called {attribute or 'agent'!r}")
    if not agent.task_types:
        raise click.UsageError(f"{target} declares no task type")
    return agent


def _start(agent: Agent, name: str | None, concurrency: int, loglevel: str) -> NoReturn:
    try:
        app = agent.celery
    except OrchestratorError as error:
        raise click.ClickException(str(error)) from error
    started = app.Worker(
        hostname=f"{name or agent.agent_type + '-' + socket.gethostname()}@{socket.gethostname()}",
        pool_cls="prefork",
        concurrency=concurrency,
        loglevel=logging.getLevelNamesMapping()[loglevel.upper()],
        without_gossip=True,
        without_mingle=True,
    )
    started.start()
    sys.exit(started.exitcode)
