"""Whether one process of ours does its work, asked from inside its container.

python -m config.healthcheck api | flower | controller | agent TYPE

Ends with 0, or with 1 and the reason on stderr. What a check needs it reads from the process' own
environment; an agent's check knows Redis only.
"""

from __future__ import annotations

import os
import sys
import urllib.request
from typing import TYPE_CHECKING

import click

from orchestrator.environment import read
from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Mapping

ANSWER_SECONDS = 3.0
CONTROLLER_SILENT_SECONDS = 15
"""A controller speaks to the ledger every second, leading or standing by."""
FLOWER_PORT = 5555
DEFAULT_PORT = "8080"

_RECENT = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = %(name)s AND datname = current_database()
      AND client_addr IS NOT DISTINCT FROM inet_client_addr()
      AND state_change > now() - make_interval(secs => %(seconds)s)
"""


class UnhealthyError(Exception):
    """The process does not do its work; the message says how that shows."""


def check_url(url: str) -> None:
    """Raise UnhealthyError unless `url` answers with 200 in time."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - our own http URL
            if answer.status != 200:  # noqa: PLR2004 - OK
                raise UnhealthyError(f"{url} answers {answer.status}")
    except OSError as error:
        raise UnhealthyError(f"{url} does not answer: {error}") from error


def check_controller(environ: Mapping[str, str]) -> None:
    """Raise UnhealthyError unless a controller of this address has spoken to the ledger lately."""
    from orchestrator.ledger.engine import Ledger  # noqa: PLC0415 - an agent's check loads no ledger
    from orchestrator.ledger.options import LedgerOptions  # noqa: PLC0415

    (options,) = read(LedgerOptions, environ=environ)
    ledger = Ledger(options, application_name="orchestrator-healthcheck")
    asked = {"name": "orchestrator-controller", "seconds": CONTROLLER_SILENT_SECONDS}
    try:
        with ledger.transaction(ANSWER_SECONDS) as connection:
            recent = connection.exec_driver_sql(_RECENT, asked).scalar_one()
    finally:
        ledger.close()
    if not recent:
        raise UnhealthyError(f"no controller here spoke to the ledger for {CONTROLLER_SILENT_SECONDS} s")


def check_agent(agent_type: str, environ: Mapping[str, str]) -> None:
    """Raise UnhealthyError unless an agent of this type on this host beats and its main loop moves."""
    from orchestrator.broker.inspection import Inspector  # noqa: PLC0415 - only an agent's check needs Redis
    from orchestrator.broker.options import BrokerOptions, with_redis_url  # noqa: PLC0415
    from orchestrator.broker.registry import AgentStatus  # noqa: PLC0415

    (options,) = read(BrokerOptions, environ=with_redis_url(environ))
    inspector = Inspector(options)
    try:
        agents = inspector.agents()
    finally:
        inspector.close()
    here = [
        agent
        for agent in agents
        if agent.agent_type == agent_type and agent.record.get("host") == os.uname().nodename
    ]
    if not any(agent.status in (AgentStatus.HEALTHY, AgentStatus.DRAINING) for agent in here):
        said = ", ".join(f"{agent.agent_id} is {agent.status}" for agent in here) or "none is registered"
        raise UnhealthyError(f"no healthy agent of type {agent_type} on this host: {said}")


@click.group()
def main() -> None:
    """Check one process; end with 1 when it does not do its work."""


@main.command()
def api() -> None:
    """Check that the API accepts submissions."""
    check_url(f"http://127.0.0.1:{os.environ.get('PORT') or DEFAULT_PORT}/health/ready")


@main.command()
def flower() -> None:
    """Check that Flower answers."""
    check_url(f"http://127.0.0.1:{FLOWER_PORT}/healthcheck")


@main.command()
def controller() -> None:
    """Check that the controller speaks to the ledger."""
    check_controller(os.environ)


@main.command()
@click.argument("agent_type", metavar="TYPE")
def agent(agent_type: str) -> None:
    """Check that the agent of this host beats."""
    check_agent(agent_type, os.environ)


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except (UnhealthyError, OrchestratorError, click.ClickException) as problem:
        click.echo(f"unhealthy: {problem}", err=True)
        sys.exit(1)
