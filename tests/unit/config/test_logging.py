from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from config.logging import configure
from config.settings import LogOptions

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_line_is_one_json_object_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogOptions(format="json"), service="controller")

    structlog.get_logger().info("pass_done", rows=3)
    logging.getLogger("elsewhere").warning("%s is late", "it")

    ours, theirs = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (ours["event"], ours["rows"], ours["service"], ours["level"]) == (
        "pass_done",
        3,
        "controller",
        "info",
    )
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["service"]) == ("it is late", "controller")


@pytest.mark.parametrize("style", ["json", "console"])
def test_traceback_shows_no_local_variables(capsys: pytest.CaptureFixture[str], style: str) -> None:
    configure(LogOptions(format=style), service="api")
    password = "hush" + "hush"

    try:
        int(f"a word of {len(password)}")
    except ValueError:
        structlog.get_logger().exception("failed")

    said = capsys.readouterr().err
    assert "a word of 8" in said
    assert "hushhush" not in said


def test_less_severe_lines_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogOptions(level="warning"), service="api")

    structlog.get_logger().info("small")
    logging.getLogger("httpx").info("chatter")

    assert capsys.readouterr().err == ""
