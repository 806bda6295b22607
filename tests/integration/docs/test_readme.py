from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.readme import blocks, console_examples, masked, run_python
from tests.support.stack import LocalStack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.readme import ConsoleExample

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
COMMANDS = [example for block in blocks(README, "console") for example in console_examples(block)]
PYTHON = blocks(README, "pycon")
COMMAND_SECONDS = 60


@pytest.fixture(scope="module")
def readme_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with LocalStack(tmp_path_factory.mktemp("readme") / "data", cwd=ROOT) as stack:
        yield stack


@pytest.mark.parametrize("example", COMMANDS, ids=[str(number) for number, _ in enumerate(COMMANDS)])
def test_a_command_prints_what_the_readme_shows(readme_stack: LocalStack, example: ConsoleExample) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    said = subprocess.run(
        ["bash", "-c", example.command],
        cwd=ROOT,
        env={"PATH": path, **reached_by(readme_stack)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )

    assert masked(said.stdout) == example.output


@pytest.mark.parametrize("block", PYTHON, ids=[str(number) for number, _ in enumerate(PYTHON)])
def test_python_shows_what_the_readme_shows(
    readme_stack: LocalStack, block: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in reached_by(readme_stack).items():
        monkeypatch.setenv(name, value)

    assert run_python(block) == ""


def test_there_are_examples_of_each_kind() -> None:
    assert any("curl" in example.command for example in COMMANDS)
    assert any(example.command.startswith("orchestrator ") for example in COMMANDS)
    assert len(PYTHON) >= 2


def reached_by(stack: LocalStack) -> dict[str, str]:
    return {"ORCHESTRATOR_URL": stack.url, "ORCHESTRATOR_API_KEY": stack.api_key}
