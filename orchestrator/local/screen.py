"""What the person at the terminal sees of a stack, besides the processes' own lines."""

from __future__ import annotations

import io
import shlex
from typing import TYPE_CHECKING

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from orchestrator.local.output import width

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from orchestrator.local.data_dir import Connection
    from orchestrator.local.output import Terminal

COLOURS = {"completed": "green", "failed": "red", "timeout": "red", "refused": "red"}


class Screen:
    """Writes to the terminal that the processes' lines go to, in turn with them."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def say(self, text: str) -> None:
        """Show one line."""
        self._terminal.line("orchestrator", text.encode(errors="replace"))

    def ready(self, connection: Connection, file: Path) -> None:
        """Show how the running stack is reached."""
        lines = [f"API      {connection.url}", f"API key  {connection.api_key}"]
        if connection.flower_url is not None:
            lines.append(f"Flower   {connection.flower_url}")
        lines.append(f"all      {file}")
        self.show(
            Panel(Text("\n".join(lines)), title="the orchestrator is up; Ctrl-C stops it", expand=False)
        )

    def samples(self, rows: Sequence[tuple[str, str, str, str]]) -> None:
        """Show how the sample tasks went: (task type, status, seconds, what came of it)."""
        table = Table(title="sample tasks")
        for column in ("task", "status", "seconds", "result"):
            table.add_column(column, justify="right" if column == "seconds" else "left")
        for name, status, seconds, result in rows:
            table.add_row(
                Text(name), Text(status, style=COLOURS.get(status, "yellow")), seconds, Text(result)
            )
        self.show(table)

    def try_it(self, connection: Connection, body: Path) -> None:
        """Show a curl line that can be pasted and submits the body in this file."""
        self.say("try it:")
        self._terminal.text(
            f"\ncurl -s '{connection.url}/tasks?wait=30' -H 'Authorization: Bearer {connection.api_key}' "
            f"-H 'Content-Type: application/json' -d @{shlex.quote(str(body))}\n\n"
        )

    def show(self, what: RenderableType) -> None:
        """Show something that rich can draw."""
        drawn = io.StringIO()
        Console(file=drawn, width=width(), force_terminal=self._terminal.coloured).print(what)
        self._terminal.text(drawn.getvalue())
