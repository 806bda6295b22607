from __future__ import annotations

import json
from typing import Any

from orchestrator.errors import BrokerUnavailableError
from orchestrator.worker.link import Run
from orchestrator.worker.reporter import FLUSH_SECONDS, MAX_BUFFERED_LINES, RunReporter
from tests.support.waiting import wait_for


class FakeLink:
    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.away = False
        self.calls = 0

    def tell(self, _: Run, kind: str, payload: str) -> bool:
        self.calls += 1
        if self.away:
            raise BrokerUnavailableError("away")
        self.told.append((kind, json.loads(payload)))
        return True


def a_reporter(**changes: Any) -> tuple[RunReporter, FakeLink]:
    link = FakeLink()
    return RunReporter(link, Run("id", 1, "token"), **changes), link  # type: ignore[arg-type]


def test_the_first_goes_at_once_and_the_rest_together() -> None:
    reporter, link = a_reporter()
    reporter.log(1, "one")
    reporter.log(2, "two")
    reporter.progress(0.1, "a")
    reporter.progress(0.2, "b")

    def both() -> bool:
        reporter.flush_if_due()
        return len(link.told) == 3

    wait_for(both, within=FLUSH_SECONDS * 5)
    assert link.told == [
        ("log", {"lines": [{"t": 1, "m": "one"}]}),
        ("log", {"lines": [{"t": 2, "m": "two"}]}),
        ("progress", {"fraction": 0.2, "message": "b"}),
    ]
    assert reporter.leftover() == {"lines": []}


def test_a_flood_goes_in_bunches() -> None:
    reporter, link = a_reporter()
    for number in range(2 * MAX_BUFFERED_LINES + 1):
        reporter.log(number, "x")

    assert max(len(payload["lines"]) for _, payload in link.told) <= MAX_BUFFERED_LINES
    told = sum(len(payload["lines"]) for _, payload in link.told)
    assert told + len(reporter.leftover()["lines"]) == 2 * MAX_BUFFERED_LINES + 1


def test_what_redis_could_not_take_goes_with_the_outcome_in_order() -> None:
    reporter, link = a_reporter()
    link.away = True
    reporter.log(1, "one")
    reporter.log(2, "two")
    reporter.progress(0.5, "half")

    left = reporter.leftover()
    assert [line["m"] for line in left["lines"]] == ["one", "two"]
    assert left["progress"] == {"fraction": 0.5, "message": "half"}


def test_lines_beyond_the_task_s_share_are_counted() -> None:
    reporter, link = a_reporter(lines_left=1)
    for number in range(4):
        reporter.log(number, "x")

    assert len(link.told) == 1
    assert reporter.leftover() == {"lines": [], "dropped_log_lines": 3, "dropped_at": 3}


def test_a_redis_that_is_away_holds_a_handler_up_once_not_at_each_line() -> None:
    reporter, link = a_reporter()
    link.away = True
    for number in range(3 * MAX_BUFFERED_LINES):
        reporter.log(number, "x")

    assert link.calls == 1
    assert len(reporter.leftover()["lines"]) == 3 * MAX_BUFFERED_LINES
