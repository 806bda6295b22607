from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

CONFIG = Path(__file__).parents[3] / "config"
PATH = {"PATH": os.environ["PATH"]}


def enter(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CONFIG / "docker-entrypoint.sh", *command],
        env=PATH | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_secret_file_becomes_its_variable(tmp_path: Path) -> None:
    secret = "a\"b'c$d`e\\f g"
    (tmp_path / "password").write_text(secret + "\n")

    found = enter({"REDIS_PASSWORD_FILE": str(tmp_path / "password"), "OTHER_FILE": "kept"}, "env", "-0")

    variables = dict(entry.split("=", 1) for entry in found.stdout.rstrip("\0").split("\0"))
    assert variables["REDIS_PASSWORD"] == secret
    assert "REDIS_PASSWORD_FILE" not in variables
    assert variables["OTHER_FILE"] == "kept"


def test_the_command_takes_its_place_with_its_arguments_as_they_are() -> None:
    found = enter({}, "sh", "-c", 'printf "%s|" "$@"; exit 7', "name", "one two", "$x", "")

    assert found.stdout == "one two|$x||"
    assert found.returncode == 7


@pytest.mark.parametrize("content", [None, ""])
def test_a_missing_or_empty_file_stops_it(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "url"
    if content is not None:
        file.write_text(content)

    found = enter({"DATABASE_URL_FILE": str(file)}, "echo", "started")

    assert found.returncode == 66
    assert "DATABASE_URL_FILE" in found.stderr
    assert "started" not in found.stdout


def test_a_variable_and_its_file_together_are_refused_without_showing_it(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from-file")

    found = enter({"PGPASSWORD": "from-environment", "PGPASSWORD_FILE": str(file)}, "echo", "started")

    assert found.returncode == 64
    assert "PGPASSWORD" in found.stderr
    assert "from-" not in found.stderr + found.stdout


def test_secrets_are_made_once_and_only_their_folder_keeps_others_out(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    subprocess.run([CONFIG / "make-secrets.sh", folder], check=True)
    first = {path.name: path.read_text() for path in folder.iterdir()}
    subprocess.run([CONFIG / "make-secrets.sh", folder], check=True)

    assert {path.name: path.read_text() for path in folder.iterdir()} == first
    assert len(set(first.values())) == len(first)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}
