"""An agent whose handlers work, fail, retry, crash and hang on order, and write down what they do."""

from __future__ import annotations

import os
import secrets
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from billiard.exceptions import SoftTimeLimitExceeded

from orchestrator import Agent, PermanentError
from tests.chaos.journal import SIGN_SECONDS, Pen, boottime

if TYPE_CHECKING:
    from collections.abc import Iterator

agent = Agent("chaos", version="1.0.0")


class Account:
    """The account that one run gives of itself."""

    def __init__(self, pen: Pen, run: str) -> None:
        self.run = run
        self._pen = pen

    def stay(self, seconds: float) -> None:
        """Take so long by the wall, with a sign of life every SIGN_SECONDS."""
        until = boottime() + seconds
        while (left := until - boottime()) > 0:
            time.sleep(min(SIGN_SECONDS, left))
            self._pen.write("sign")

    def crash(self) -> None:
        """Die as the kernel's memory killer would have it."""
        self._pen.write("end", how="crashed")
        os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def on_record(task: Any, parameters: dict[str, Any], kind: str) -> Iterator[Account]:
    """Write the beginning and the end of a run, whatever ends it short of a kill."""
    run = secrets.token_hex(8)
    pen = Pen(parameters["journal"], run=run, task=task.task_id, kind=kind)
    try:
        pen.write("start", attempt=task.attempt)
        yield Account(pen, run)
    except BaseException as error:
        pen.write("end", how=type(error).__name__)
        raise
    else:
        pen.write("end", how="returned")
    finally:
        pen.close()


@agent.task("quick")
def quick(task: Any, parameters: dict[str, Any]) -> dict[str, str]:
    with on_record(task, parameters, "quick") as account:
        return {"run": account.run}


@agent.task("slow")
def slow(task: Any, parameters: dict[str, Any]) -> dict[str, str]:
    with on_record(task, parameters, "slow") as account:
        account.stay(parameters["seconds"])
        return {"run": account.run}


@agent.task("exclusive", exclusive=True)
def exclusive(task: Any, parameters: dict[str, Any]) -> dict[str, str]:
    with on_record(task, parameters, "exclusive") as account:
        account.stay(parameters["seconds"])
        return {"run": account.run}


@agent.task("failing")
def failing(task: Any, parameters: dict[str, Any]) -> None:
    with on_record(task, parameters, "failing") as account:
        account.stay(parameters["seconds"])
        raise PermanentError("as ordered") if parameters["permanent"] else ValueError("as ordered")


@agent.task("retrying")
def retrying(task: Any, parameters: dict[str, Any]) -> dict[str, str]:
    """Fail until the attempt that was ordered to work."""
    with on_record(task, parameters, "retrying") as account:
        if task.attempt < parameters["works_at"]:
            raise ConnectionError("not yet")
        return {"run": account.run}


@agent.task("crashing")
def crashing(task: Any, parameters: dict[str, Any]) -> dict[str, str]:
    """Kill the own process until the attempt that was ordered to work."""
    with on_record(task, parameters, "crashing") as account:
        if task.attempt < parameters["works_at"]:
            account.crash()
        return {"run": account.run}


@agent.task("hanging")
def hanging(task: Any, parameters: dict[str, Any]) -> None:
    """Run beyond every limit; a stubborn one goes on after the soft one too."""
    with on_record(task, parameters, "hanging") as account:
        while True:
            try:
                account.stay(600)
            except SoftTimeLimitExceeded:
                if not parameters["stubborn"]:
                    raise
