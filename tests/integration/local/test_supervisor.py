"""The supervisor with small programs of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from orchestrator.local.errors import StackError, StopRequested
from orchestrator.local.output import Terminal
from orchestrator.local.processes import Program, Warden
from orchestrator.local.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator

IGNORE = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True)"
STUBBORN = f"{IGNORE}; time.sleep(600)"


class Bench:
    """A supervisor whose terminal is a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changes = 0
        self.shown = folder / "terminal"
        self._descriptor = os.open(self.shown, os.O_WRONLY | os.O_CREAT)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
        self.warden = Warden(hold_fd=lock, remove=folder / "connection.json", environ=os.environ)
        os.close(lock)
        self.supervisor = Supervisor(
            logs=folder,
            warden=self.warden,
            terminal=Terminal(self._descriptor),
            on_change=self._changed,
        )

    def program(self, name: str, code: str, **changes: object) -> Program:
        return Program(name, (sys.executable, "-S", "-c", code), os.environ, Path("/"), **changes)  # type: ignore[arg-type]

    def log(self, name: str) -> str:
        file = self.folder / f"{name}.log"
        return file.read_text() if file.exists() else ""

    def wait_for_line(self, name: str, text: str) -> None:
        self.supervisor.wait_for(lambda: text in self.log(name), within=20, what=text)

    def close(self) -> None:
        self.supervisor.stop([])
        self.warden.dismiss()
        os.close(self._descriptor)

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    built = Bench(tmp_path)
    try:
        with built.supervisor:
            yield built
            built.close()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def test_program_that_dies_is_started_again(bench: Bench) -> None:
    supervisor = bench.supervisor
    supervisor.start(bench.program("one", "import time; print('up', flush=True); time.sleep(600)"))
    supervisor.start(bench.program("two", "import time; time.sleep(600)"))
    first = supervisor.pids()
    bench.wait_for_line("one", "up\n")

    os.kill(first["one"], signal.SIGKILL)
    supervisor.wait_for(
        lambda: supervisor.pids().get("one", first["one"]) != first["one"], within=20, what="one"
    )

    assert supervisor.pids()["two"] == first["two"]
    assert bench.changes == 2
    bench.wait_for_line("one", "up\nup\n")


def test_program_that_left_by_order_stays_away(bench: Bench) -> None:
    supervisor = bench.supervisor
    supervisor.start(bench.program("worker", "print('bye')", may_leave=True))

    supervisor.wait_for(lambda: not supervisor.pids(), within=20, what="its end")
    for _ in range(30):
        supervisor.step(0.05)

    assert supervisor.pids() == {}
    assert bench.log("worker") == "bye\n"


def test_program_that_keeps_dying_ends_the_wait_with_its_last_lines(bench: Bench) -> None:
    bench.supervisor.start(bench.program("api", "raise SystemExit('no port')"))

    with pytest.raises(StackError, match=r"api does not start; its last lines:\n  no port"):
        bench.supervisor.wait_for(lambda: False, within=60, what="the API")


def test_program_that_cannot_be_started_is_tried_again(bench: Bench) -> None:
    program = Program("api", (str(bench.folder / "missing"),), os.environ, Path("/"))
    bench.supervisor.start(program)

    with pytest.raises(StackError, match="api does not start"):
        bench.supervisor.wait_for(lambda: False, within=60, what="the API")


def test_program_that_runs_once_reports_its_failure(bench: Bench) -> None:
    bench.supervisor.run_to_end(bench.program("migrate", "print('done')", once=True), within=20)

    with pytest.raises(StackError, match=r"migrate failed; its last lines:\n  wrong schema"):
        bench.supervisor.run_to_end(
            bench.program("migrate", "raise SystemExit('wrong schema')", once=True), within=20
        )
    with pytest.raises(StackError, match=r"late takes longer than 0\.5 s"):
        bench.supervisor.run_to_end(
            bench.program("late", "import time; time.sleep(600)", once=True), within=0.5
        )


def test_stubborn_program_is_killed_with_its_children(bench: Bench) -> None:
    family = f"import subprocess, sys; subprocess.Popen([sys.executable, '-S', '-c', {STUBBORN!r}]).wait()"
    bench.supervisor.start(bench.program("parent", STUBBORN.replace("time.sleep(600)", family)))
    bench.wait_for_line("parent", "on\non\n")
    children = psutil.Process(bench.supervisor.pids()["parent"]).children()

    bench.supervisor.stop([(["parent"], 0.2)])

    assert children
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert bench.supervisor.pids() == {}


def test_signal_asks_to_stop(bench: Bench) -> None:
    bench.supervisor.start(bench.program("one", "import time; time.sleep(600)"))

    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGHUP)).start()

    with pytest.raises(StopRequested):
        bench.supervisor.wait_for(lambda: False, within=20, what="never")


def test_every_line_goes_to_its_file_and_to_the_terminal(bench: Bench) -> None:
    bench.supervisor.start(bench.program("chatty", "for n in range(2000): print('line', n)", may_leave=True))
    bench.supervisor.start(bench.program("quiet", "print('hidden')", may_leave=True, in_terminal=False))
    bench.supervisor.wait_for(lambda: not bench.supervisor.pids(), within=20, what="their ends")
    bench.supervisor.terminal.flush()

    assert bench.log("chatty").splitlines() == [f"line {number}" for number in range(2000)]
    assert bench.log("quiet") == "hidden\n"
    assert "hidden" not in bench.shown.read_text()
    assert "chatty       | line 0\n" in bench.shown.read_text()
