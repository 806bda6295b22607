"""The command line: clients' commands, `worker`, and whatever commands are installed for the servers.

Commands are imported when they are asked for. The servers' are found through the entry-point group
"orchestrator.commands" and run isolated (`python -I`): neither the current folder nor PYTHONPATH can put
another package of the same name before ours. `worker` is not, for it looks for the user's own modules there.
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import click

from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "orchestrator.commands"
CLIENT_COMMANDS = ("submit", "get", "tasks", "agents", "cancel")
BUILT_IN = {name: f"orchestrator.cli.client_commands:{name}" for name in CLIENT_COMMANDS} | {
    "worker": "orchestrator.worker.command:worker"
}
SECTIONS = {"Use it": CLIENT_COMMANDS, "Run an agent": ("worker",)}


class Commands(click.Group):
    """The group of all commands, each loaded when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the name of every command."""
        return [*BUILT_IN, *sorted(set(_servers()) - set(BUILT_IN))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command, loaded; None if there is none of this name."""
        if cmd_name in BUILT_IN:
            module, _, attribute = BUILT_IN[cmd_name].partition(":")
            return _command(getattr(importlib.import_module(module), attribute))
        server = _servers().get(cmd_name)
        if server is None:
            return None
        isolate()
        return _command(server.load())

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by what they are for."""
        sections = {**SECTIONS, "Run the servers": tuple(sorted(set(_servers()) - set(BUILT_IN)))}
        for title, names in sections.items():
            rows = [
                (name, command.get_short_help_str(limit=70))
                for name in names
                if (command := self.get_command(ctx, name)) is not None
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; what the engine refuses is one clear message and status 1, no traceback."""
        try:
            return super().invoke(ctx)
        except OrchestratorError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="agent-orchestrator", prog_name="orchestrator")
def main() -> None:
    """HTTP in, Celery out, and nothing is ever lost: a durable task orchestrator."""


def isolate() -> None:
    """Start this command again, in the same process, in an isolated interpreter unless it is in one."""
    if not sys.flags.isolated:
        command = [sys.executable, "-u", "-I", "-m", "orchestrator", *sys.argv[1:]]
        os.execv(sys.executable, command)  # noqa: S606 - our own interpreter, no shell


def _servers() -> dict[str, EntryPoint]:
    return {found.name: found for found in entry_points(group=GROUP)}


def _command(found: object) -> click.Command:
    if not isinstance(found, click.Command):
        raise click.ClickException(f"{found!r} is installed as a command and is none")
    return found
