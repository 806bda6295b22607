"""What is left of a run that ends in a way nobody foresaw."""

from __future__ import annotations

import errno
import os
import signal
from typing import TYPE_CHECKING, Any, cast

import pytest

from orchestrator.agent import Agent
from orchestrator.broker.answers import Claimed, Reported
from orchestrator.errors import BrokerUnavailableError
from orchestrator.tasks.ids import celery_id, new_task_id
from orchestrator.worker.execution import Executor
from orchestrator.worker.slots import Doom, SlotTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.worker.link import AgentLink

agent = Agent("probe")


@agent.task("echo")
def echo(task: Any, parameters: dict[str, Any]) -> int:
    return 1


@agent.task("told_to_end")
def told_to_end(task: Any, parameters: dict[str, Any]) -> None:
    raise SystemExit(signal.SIGTERM - 256)


class Link:
    """Grants every claim, and answers reports as it is told."""

    def __init__(self, *answers: Reported | Exception) -> None:
        self._answers = list(answers)

    def claim(self, _run: object, **_: Any) -> tuple[Claimed, str]:
        return Claimed.GRANTED, ""

    def report(self, *_: object) -> Reported:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def table() -> Iterator[SlotTable]:
    table = SlotTable(1)
    yield table
    table.close()


@pytest.fixture
def execute(table: SlotTable) -> Iterator[Callable[..., None]]:
    before = signal.getsignal(signal.SIGUSR1)

    def execute(link: Link, task_type: str = "echo") -> None:
        executor = Executor(cast("AgentLink", link), table, 5.0, 1024)
        envelope: dict[str, Any] = {
            "v": 1,
            "attempt": 0,
            "retries": 0,
            "max_retries": 0,
            "timeout_seconds": 30,
        }
        envelope |= {"log_lines": 0, "metadata": {}, "request_id": None}
        message = {"envelope": envelope, "parameters": {}}
        executor.run(agent.task_types[task_type], celery_id(str(new_task_id()), 1), message)

    yield execute
    signal.signal(signal.SIGUSR1, before)


def test_an_outcome_that_fits_nowhere_is_reported_until_redis_takes_it(
    table: SlotTable, execute: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_index: int, _report: bytes) -> None:
        raise OSError(errno.ENOSPC, "the temporary folder is full")

    monkeypatch.setattr(table, "spool", full)
    monkeypatch.setattr("orchestrator.worker.execution.CLAIM_PAUSE_SECONDS", (0.0,))
    away = BrokerUnavailableError("Redis does not answer")

    execute(Link(away, away, Reported.ACCEPTED))

    assert table.in_use() == []


def test_a_process_whose_run_broke_off_unreported_ends_so_that_its_death_is(
    table: SlotTable, execute: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its heartbeats would list the run for as long as it lives."""
    deaths: list[int] = []
    monkeypatch.setattr("orchestrator.worker.execution.kill_own_group", lambda: deaths.append(os.getpid()))

    with pytest.raises(ZeroDivisionError):
        execute(Link(ZeroDivisionError("a bug of ours")))

    assert deaths == [os.getpid()]


def test_a_process_that_is_told_to_end_says_so(table: SlotTable, execute: Callable[..., None]) -> None:
    with pytest.raises(SystemExit):
        execute(Link(), "told_to_end")

    (slot,) = table.in_use()
    assert slot.doomed is Doom.STOPPED
