from __future__ import annotations

import enum
from decimal import Decimal
from typing import Any

import pytest

from orchestrator import Agent, PermanentError, RetryLater
from orchestrator.worker.execution import Envelope
from orchestrator.worker.naming import agent_id_of
from orchestrator.worker.outcome import completed, failed, lost, timed_out, unreadable

agent = Agent("probe")
agent.task("one", retry_on=OSError, timeout_seconds=9)(lambda _, __: None)
DECLARED = agent.find("one")


class Colour(enum.Enum):
    RED = 1


def endless() -> list[Any]:
    inner: list[Any] = []
    inner.append(inner)
    return inner


def deep() -> Any:
    value: Any = None
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize("value", [None, 1, "x", [1, {"a": True}], {"1": 1.5}, (1, 2), {1: "a"}])
def test_json_is_completed(value: Any) -> None:
    assert completed(value, limit_bytes=100).kind == "completed"


@pytest.mark.parametrize(
    "value",
    [float("inf"), Decimal(1), {(1, 2): 3}, Colour.RED, endless(), deep(), 10**5_000],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_json_is_a_failure_that_says_so(value: Any) -> None:
    outcome = completed(value, limit_bytes=10**9)

    assert (outcome.kind, outcome.payload["code"], outcome.retryable) == ("failed", "result_not_json", False)
    assert type(value).__qualname__ in outcome.payload["error"]


def test_the_limit_counts_the_bytes_of_the_json() -> None:
    assert completed("é" * 10, limit_bytes=62).kind == "completed"
    assert completed("é" * 10, limit_bytes=61).payload["code"] == "result_too_large"


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (OSError("x"), "handler_error", True),
        (ValueError("x"), "handler_error", False),
        (PermanentError("x"), "permanent", False),
        (RetryLater(3), "retry_later", True),
    ],
)
def test_a_failure_says_whether_another_run_may_help(error: Exception, code: str, *, retryable: bool) -> None:
    payload = failed(error, DECLARED).payload

    assert (payload["code"], payload["retryable"]) == (code, retryable)


def test_long_errors_are_cut_and_empty_ones_named() -> None:
    payload = failed(OSError("x" * 100_000), DECLARED).payload

    assert len(payload["error"]) == 8192
    assert len(payload["traceback"]) <= 16_384
    assert failed(KeyError(), DECLARED).payload["error"] == "KeyError"


def test_the_other_outcomes_say_what_they_are() -> None:
    assert timed_out(1.5, hard=False).payload["error"] == "the time limit of 1.5 s was reached"
    assert timed_out(None, hard=True).payload["code"] == "hard_time_limit"
    assert lost("abandoned").payload["reason"] == "abandoned"
    assert not unreadable("unreadable_message", "x" * 9_000).retryable


def test_an_envelope_that_cannot_be_read_names_its_defect() -> None:
    fields = {
        "v": 1,
        "attempt": 0,
        "retries": 0,
        "max_retries": 3,
        "timeout_seconds": 5,
        "log_lines": 0,
        "metadata": {},
    }
    good = Envelope.read({"envelope": {**fields, "new": 1}, "parameters": {"a": 1}}, DECLARED)
    bad = Envelope.read({"envelope": {**fields, "v": 2}, "parameters": {}}, DECLARED)

    assert (good.defect, good.parameters, good.timeout_seconds, good.request_id) == ("", {"a": 1}, 5.0, None)
    assert "message format 2 is not known to this agent" in bad.defect
    assert bad.timeout_seconds == 9
    assert Envelope.read({}, DECLARED).defect


def test_an_agent_s_id_is_the_name_before_the_host() -> None:
    assert agent_id_of("cost-1@host.example", "cost") == "cost-1"
    assert agent_id_of("celery@host.example", "cost") == "cost-host.example"
    assert agent_id_of("cost-1", "cost") == "cost-1"
