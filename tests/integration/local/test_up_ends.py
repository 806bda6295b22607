"""How `orchestrator up` ends, and goes on where it was."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.stack import LocalStack
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STOP_SECONDS = 10.0


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    stack = LocalStack(tmp_path / "data", agents="tests.support.probe:agent")
    try:
        yield stack
    finally:
        stack.stop()
        assert wait_for(lambda: not stack.leftovers(), within=5, what=f"an end of {stack.leftovers()}")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_stops_it_all(stack: LocalStack, how: signal.Signals) -> None:
    stack.start()
    if how == signal.SIGHUP:
        with stack.client() as client:
            client.submit("probe", "sleep", {"seconds": 120})
    processes = stack.processes

    seconds = stack.stop(how)

    assert seconds < STOP_SECONDS
    assert stack.leftovers() == []
    assert not [name for name, pid in processes.items() if psutil.pid_exists(pid)]
    assert not (stack.folder / "connection.json").exists()


def test_frozen_processes_do_not_keep_it_from_stopping(stack: LocalStack) -> None:
    stack.start()
    for name in ("api", "controller", "probe-1", "redis", "postgres"):
        stack.signal(name, signal.SIGSTOP)

    assert stack.stop() < STOP_SECONDS


def test_killed_up_leaves_nothing_behind_and_goes_on_where_it_was(stack: LocalStack, tmp_path: Path) -> None:
    stack.start()
    key = stack.api_key
    with stack.client() as client:
        done = client.submit("probe", "sum", {"left": 1}).wait(timeout_seconds=30)
        client.submit("probe", "stubborn", {"pid_path": str(tmp_path / "pid")})
        wait_for((tmp_path / "pid").exists, what="a process that ignores SIGTERM")

    stack.kill()
    wait_for(lambda: not stack.leftovers(), within=5, what="an end of everything")
    assert not (stack.folder / "connection.json").exists()
    stack.start()

    assert stack.api_key == key
    with stack.client() as client:
        assert client.get(done.task_id).result == 2


def test_killed_everything_goes_on_where_it_was(stack: LocalStack) -> None:
    stack.start()
    with stack.client() as client:
        done = client.submit("probe", "sum", {"left": 1}).wait(timeout_seconds=30)
        waiting = client.submit("probe", "sum", {"left": 2})

    stack.kill_everything()
    (stack.folder / "postgres" / "data" / "postmaster.pid").write_text("1\n/elsewhere\n")
    stack.start()

    with stack.client() as client:
        assert client.get(done.task_id).result == 2
        assert client.get(waiting.task_id).wait(timeout_seconds=60).result == 3


def test_agent_that_cannot_be_imported_is_explained(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path / "data", agents="no_such_module:agent", cwd=tmp_path)

    status = stack.launch().wait(60)

    assert status == 1
    assert "no module 'no_such_module'" in stack.output()
    assert "Traceback" not in stack.output()
    assert stack.leftovers() == []


def test_agent_that_does_not_start_is_explained(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "import sys\nfrom orchestrator import Agent\nagent = Agent('broken')\n"
        "@agent.task('any')\ndef any_(task, parameters): ...\n"
        "if '--print-type' not in sys.argv: raise SystemExit('it has no wheels')\n"
    )
    stack = LocalStack(tmp_path / "data", agents="broken:agent", cwd=tmp_path)

    status = stack.launch().wait(90)

    assert status == 1
    assert "broken-1 does not start" in stack.output()
    assert "it has no wheels" in stack.output()
    assert stack.leftovers() == []
