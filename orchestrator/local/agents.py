"""Which agents a stack runs, and what they are called."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from orchestrator.local.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DESCRIBE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class AgentSource:
    """Where an agent is found: `module:attribute`, of ours or of whoever started the stack."""

    target: str
    ours: bool

    def command(self, *arguments: str) -> tuple[str, ...]:
        """Return the worker command; the user's own is found in the folder they are in and on PYTHONPATH."""
        return (*interpreter(isolated=self.ours), "worker", self.target, *arguments)


def interpreter(*, isolated: bool) -> tuple[str, ...]:
    """Return the start of a command of ours; isolated, it sees neither the current folder nor PYTHONPATH."""
    return (sys.executable, "-u", *(["-I"] if isolated else []), "-m", "orchestrator")


class TypeProbe:
    """Asks an agent's own process for its type, so that nothing of the user's is imported here."""

    def __init__(self, source: AgentSource, *, environ: Mapping[str, str], cwd: Path) -> None:
        self._source = source
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `answer`
        self._deadline = time.monotonic() + DESCRIBE_SECONDS
        self._process = subprocess.Popen(
            source.command("--print-type"),
            env=dict(environ),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def done(self) -> bool:
        """Tell whether it has answered; raises StackError when it takes too long."""
        if self._process.poll() is None and time.monotonic() > self._deadline:
            self.stop()
            raise StackError(f"{self._source.target} cannot be imported within {DESCRIBE_SECONDS:g} s")
        return self._process.poll() is not None

    def answer(self) -> str:
        """Return the type. Raises StackError with what the import said."""
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").splitlines()
        self._said.close()
        if self._process.returncode != 0 or not lines:
            said = "\n".join(f"  {line}" for line in lines[-12:])
            raise StackError(f"the agent {self._source.target} cannot be used:\n{said}")
        return lines[-1].strip()

    def stop(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def names_for(types: Sequence[str]) -> list[str]:
    """Return the name of each agent: its type and a number within the type."""
    seen: Counter[str] = Counter()
    names = []
    for agent_type in types:
        seen[agent_type] += 1
        names.append(f"{agent_type}-{seen[agent_type]}")
    return names


def parse_targets(text: str) -> tuple[AgentSource, ...]:
    """Return the agents of a comma-separated list. Raises StackError for what is no `module:attribute`."""
    targets = [target.strip() for target in text.split(",") if target.strip()]
    for target in targets:
        module, _, attribute = target.partition(":")
        if not module or not attribute:
            raise StackError(f"{target!r} is not MODULE:ATTRIBUTE, like workers.cost:agent")
    return tuple(AgentSource(target, ours=False) for target in targets)
