"""The command line of the servers, from a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from config.commands import BUILT_IN_AGENTS
from tests.support.stack import LocalStack
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer

ROOT = Path(__file__).parents[3]
COMMANDS = ("submit", "get", "tasks", "agents", "cancel", "worker", "api", "controller", "migrate", "up")


def orchestrator(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environ},
    )


def test_help_lists_every_command() -> None:
    said = orchestrator("--help").stdout

    assert [name for name in COMMANDS if f"\n  {name} " not in said] == []


def test_commands_of_the_servers_are_ours_in_a_folder_that_has_others(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "__init__.py").write_text("raise SystemExit('not this one')")

    said = subprocess.run(
        [sys.executable, "-m", "orchestrator", "migrate", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )

    assert said.returncode == 0
    assert "Bring the ledger's schema" in said.stdout


@pytest.mark.parametrize("command", ["api", "controller", "migrate", "up"])
def test_bad_settings_are_one_message(command: str, tmp_path: Path) -> None:
    words = ["--data-dir", str(tmp_path)] if command == "up" else []

    refused = orchestrator(
        command, *words, PORT="http", ORCHESTRATOR_WORKRES="2", DATABASE_URL="postgresql://x"
    )

    assert refused.returncode == 1
    assert "PORT: Not a valid integer" in refused.stderr
    assert "ORCHESTRATOR_WORKRES is not a setting" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_unknown_command_is_one_line() -> None:
    refused = orchestrator("sumbit")

    assert refused.returncode == 2
    assert "No such command 'sumbit'" in refused.stderr


def test_migrate_makes_the_admin_key_once(own_database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "admin.key"

    first = orchestrator("migrate", "--admin-key-file", str(file), DATABASE_URL=own_database_url)
    key = file.read_text()
    second = orchestrator("migrate", "--admin-key-file", str(file), DATABASE_URL=own_database_url)
    file.write_text("short")
    third = orchestrator("migrate", "--admin-key-file", str(file), DATABASE_URL=own_database_url)

    assert first.returncode == second.returncode == 0, first.stderr
    assert key.startswith("ork_")
    assert file.stat().st_mode & 0o077 == 0
    assert third.returncode == 1
    assert "shorter than 32 characters" in third.stderr


@pytest.fixture
def own_database_url(postgres_server: PostgresServer) -> str:
    return postgres_server.url(postgres_server.create_database())


def test_samples_are_run_and_shown(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path / "data", cwd=ROOT, options=("--samples",))

    with stack:
        wait_for(lambda: "curl -s" in stack.output(), within=60, what="the end of the samples")
        shown = stack.output()

    types = {target.partition(":")[0].removeprefix("workers.") for target in BUILT_IN_AGENTS}
    samples = [file for file in sorted(ROOT.glob("examples/*/*.json")) if file.parent.name in types]
    assert samples
    for sample in samples:
        (row,) = [
            line for line in shown.splitlines() if line.startswith(f"│ {sample.parent.name}.{sample.stem} ")
        ]
        assert "completed" in row
