"""An agent whose task types misbehave on order, for real worker processes to run."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from marshmallow import Schema, fields

from orchestrator import Agent, PermanentError, RetryLater

agent = Agent("probe", version="1.2.3", metadata={"zone": "test"})


class Sums(Schema):
    left = fields.Integer(required=True)
    right = fields.Integer(load_default=1)


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class UnpicklableError(Exception):
    def __reduce__(self) -> Any:
        raise RuntimeError("no pickle")


@agent.task("echo")
def echo(task: Any, parameters: dict[str, Any]) -> Any:
    return {"parameters": parameters, "attempt": task.attempt, "metadata": task.metadata, "pid": os.getpid()}


@agent.task("sum", schema=Sums)
def add(task: Any, parameters: dict[str, Any]) -> int:
    return int(parameters["left"]) + int(parameters["right"])


@agent.task("sleep")
def sleep(task: Any, parameters: dict[str, Any]) -> str:
    time.sleep(parameters["seconds"])
    return "slept"


@agent.task("until_file")
def until_file(task: Any, parameters: dict[str, Any]) -> str:
    """Run until somebody makes the file."""
    while not Path(parameters["path"]).exists():
        time.sleep(0.02)
    return "found"


@agent.task("exclusive", exclusive=True)
def exclusive(task: Any, parameters: dict[str, Any]) -> str:
    """Run until somebody makes the file, beside a process whose pid it leaves in `pid_path`."""
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    _leave(parameters["pid_path"], child.pid)
    while not Path(parameters["path"]).exists():
        time.sleep(0.02)
    child.kill()
    child.wait()
    return "found"


@agent.task("fail", give_up_on=(ZeroDivisionError,))
def fail(task: Any, parameters: dict[str, Any]) -> None:
    raise {
        "ValueError": ValueError("no such account"),
        "ZeroDivisionError": ZeroDivisionError("by zero"),
        "unspeakable": UnspeakableError(),
        "unpicklable": UnpicklableError("x" * 20_000),
        "permanent": PermanentError("never"),
        "cancelled": asyncio.CancelledError(),
        "later": RetryLater(7, "not yet"),
    }[parameters["kind"]]


@agent.task("leave")
def leave(task: Any, parameters: dict[str, Any]) -> None:
    sys.exit(parameters.get("code", 1))


@agent.task("die")
def die(task: Any, parameters: dict[str, Any]) -> None:
    """Die as the kernel's memory killer would have it, beside a process whose pid it leaves behind."""
    if "pid_path" in parameters:
        _leave(parameters["pid_path"], _stubborn().pid)
    os.kill(os.getpid(), signal.SIGKILL)


@agent.task("crash")
def crash(task: Any, parameters: dict[str, Any]) -> None:
    ctypes.string_at(0)


@agent.task("strange_result")
def strange_result(task: Any, parameters: dict[str, Any]) -> Any:
    return {
        "object": object(),
        "nan": float("nan"),
        "set": {1, 2},
        "bytes": b"x",
        "surrogate": "\ud800",
        "nul": "\x00",
        "huge": "x" * int(parameters.get("size", 0)),
        "nothing": None,
        "exact": 10**30,
    }[parameters["kind"]]


@agent.task("stubborn")
def stubborn(task: Any, parameters: dict[str, Any]) -> None:
    """Ignore the soft limit, beside a process that ignores SIGTERM."""
    _leave(parameters["pid_path"], _stubborn().pid)
    while True:
        try:
            time.sleep(600)
        except SoftTimeLimitExceeded:
            continue


@agent.task("graceful")
def graceful(task: Any, parameters: dict[str, Any]) -> str:
    try:
        time.sleep(600)
    except SoftTimeLimitExceeded:
        return "saved what was done"
    return "woke up"


@agent.task("chatter")
def chatter(task: Any, parameters: dict[str, Any]) -> str:
    for number in range(parameters["lines"]):
        task.log(f"line {number}")
    task.progress(0.5, "half")
    if parameters.get("path"):
        until_file(task, parameters)
    return "said"


def _stubborn() -> subprocess.Popen[bytes]:
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    code = f"{ignore}; print(flush=True); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    return child


def _leave(path: str, pid: int) -> None:
    unfinished = Path(path + ".part")
    unfinished.write_text(str(pid))
    unfinished.rename(path)
