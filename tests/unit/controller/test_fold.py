"""How events change a task, in whatever order and however often they come."""

from __future__ import annotations

import random
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.context import MAX_LOG_LINES
from orchestrator.controller.events import Event, EventType
from orchestrator.controller.fold import fold
from orchestrator.tasks.state import TaskState
from orchestrator.tasks.status import TERMINAL, Status, can_move

if TYPE_CHECKING:
    from orchestrator.controller.fold import Folded

ID = uuid.UUID("01234567-89ab-7def-8123-456789abcdef")
FAILED = {"error": "no", "code": "handler_error", "error_type": "ValueError", "retryable": True, "ms": 5.0}


def a_task(**changes: Any) -> TaskState:
    base: dict[str, Any] = {
        "id": ID,
        "status": Status.PENDING,
        "delivery": 1,
        "series": 1,
        "attempt": 0,
        "retry_count": 0,
        "max_retries": 3,
        "retry_delay_seconds": 4.0,
        "worker_losses": 0,
        "shared_losses": 0,
        "agent_id": None,
        "incarnation": None,
        "token": None,
        "log_lines": 0,
        "cancel_requested": False,
    }
    return TaskState(**{**base, **changes})


def event(kind: str, *, n: int = 1, token: str = "t1", ago: float = 0.0, **payload: Any) -> Event:  # noqa: S107
    kind_of = EventType(kind)
    untold = kind_of is EventType.QUEUED
    return Event(
        "1-1", kind_of, ID, n, "" if untold else token, "" if untold else "probe-1", "life", ago, payload
    )


def folded(task: TaskState, *events: Event, losses: int = 3) -> Folded:
    return fold(events, {task.id: task}, max_worker_losses=losses, rng=random.Random(1))


def test_a_task_that_goes_well() -> None:
    task = a_task()

    result = folded(
        task,
        event("queued", ago=3),
        event("running", ago=2),
        event("progress", fraction=0.5, message="half"),
        event("completed", ago=1, result={"a": [1, None]}, ms=950.0, dropped_log_lines=0),
    )

    assert (task.status, task.attempt, task.agent_id, task.token) == (Status.COMPLETED, 1, "probe-1", "t1")
    assert (task.queued_seconds_ago, task.started_seconds_ago, task.completed_seconds_ago) == (3, 2, 1)
    assert task.result_json == '{"a": [1, null]}'
    assert (task.progress_fraction, task.error) == (1.0, None)
    (attempt,) = result.attempts.values()
    assert (attempt.number, attempt.outcome, attempt.execution_time_ms) == (1, "completed", 950.0)
    assert (result.finished, result.ended) == ([str(ID)], [(str(ID), 1)])
    assert task.changed


def test_the_later_delivery_s_outcome_stands_whichever_comes_first() -> None:
    task = a_task(status=Status.RUNNING, delivery=2, token="t2", attempt=2)

    result = folded(
        task,
        event("completed", n=2, token="t2", result="good"),
        event("completed", n=1, token="t1", result="late"),
    )

    assert (task.status, task.result_json) == (Status.COMPLETED, '"good"')
    assert result.ignored == 1
    late = a_task(status=Status.RUNNING, delivery=2, token="t2", attempt=2)
    folded(
        late,
        event("completed", n=1, token="t1", result="late"),
        event("completed", n=2, token="t2", result="good"),
    )
    assert late.result_json == '"good"'


def test_queued_after_running_leads_nowhere_back() -> None:
    task = a_task()

    folded(task, event("running"), event("queued"))

    assert task.status is Status.RUNNING


def test_running_that_is_announced_again_is_the_same_attempt() -> None:
    task = a_task()

    folded(task, event("running", ago=9), event("running", ago=1))

    assert (task.attempt, task.started_seconds_ago) == (1, 9)


def test_an_outcome_whose_start_was_lost_is_an_attempt_too() -> None:
    task = a_task(status=Status.QUEUED)

    result = folded(task, event("completed", ago=1, result=1, ms=2_000.0))

    assert (task.status, task.attempt, task.started_seconds_ago) == (Status.COMPLETED, 1, 3.0)
    assert next(iter(result.attempts.values())).started_seconds_ago == 3.0


def test_a_failure_is_retried_later_and_later_until_the_last() -> None:
    task = a_task(max_retries=2)
    delays = []
    for n in (1, 2, 3):
        folded(
            task,
            event("queued", n=n),
            event("running", n=n, token=f"t{n}"),
            event("failed", n=n, token=f"t{n}", **FAILED),
        )
        delays.append(task.publish_in_seconds)

    assert (task.status, task.delivery, task.retry_count, task.attempt) == (Status.FAILED, 3, 2, 3)
    assert (task.error, task.error_code, task.error_type) == ("no", "handler_error", "ValueError")
    assert delays[0] is not None
    assert delays[1] is not None
    assert 3 <= delays[0] <= 5
    assert 6 <= delays[1] <= 10


def test_a_retry_waits_as_long_as_the_handler_asked() -> None:
    task = a_task()

    result = folded(task, event("running"), event("failed", **{**FAILED, "retry_after": 77}))

    assert (task.status, task.publish_in_seconds, task.delivery, task.token) == (Status.RETRYING, 77, 2, None)
    assert (result.finished, result.ended, result.due_now) == ([], [(str(ID), 1)], False)


def test_a_permanent_failure_is_not_retried() -> None:
    task = a_task()

    folded(task, event("running"), event("failed", **{**FAILED, "retryable": False}))

    assert (task.status, task.retry_count) == (Status.FAILED, 0)


def test_a_timeout_is_retried_and_ends_as_timeout() -> None:
    task = a_task(max_retries=1)
    limit = {"error": "too long", "code": "soft_time_limit", "retryable": True}

    folded(task, event("running"), event("timeout", **limit))
    assert task.status is Status.RETRYING
    folded(task, event("running", n=2, token="t2"), event("timeout", n=2, token="t2", **limit))

    assert (task.status, task.error_code) == (Status.TIMEOUT, "soft_time_limit")


def test_a_dead_child_counts_until_the_task_is_poison() -> None:
    task = a_task()
    for n in (1, 2, 3):
        assert task.status is Status.PENDING
        result = folded(
            task, event("running", n=n, token=f"t{n}"), event("lost", n=n, token=f"t{n}", reason="child_died")
        )

    assert (task.status, task.error_code, task.worker_losses) == (Status.FAILED, "poison", 3)
    assert "3 times" in (task.error or "")
    assert result.finished == [str(ID)]


def test_an_abandoned_run_goes_again_at_once_and_counts_nothing() -> None:
    task = a_task()

    result = folded(task, event("running"), event("lost", reason="abandoned"))

    assert (task.status, task.worker_losses, task.delivery, task.publish_in_seconds) == (
        Status.PENDING,
        0,
        2,
        0.0,
    )
    assert result.due_now


@pytest.mark.parametrize("kind", ["cancelled", "failed", "lost"])
def test_what_was_to_be_cancelled_ends_cancelled_however_it_ended(kind: str) -> None:
    task = a_task(cancel_requested=True)

    folded(task, event("running"), event(kind, **(FAILED if kind == "failed" else {"reason": "child_died"})))

    assert (task.status, task.error_code) == (Status.CANCELLED, "cancelled")


def test_what_finished_before_its_cancel_is_completed() -> None:
    task = a_task(cancel_requested=True)

    folded(task, event("running"), event("completed", result=1))

    assert task.status is Status.COMPLETED


def test_a_cancel_that_nobody_asked_for_is_run_again() -> None:
    task = a_task()

    result = folded(task, event("running"), event("cancelled"))

    assert (task.status, task.delivery) == (Status.PENDING, 2)
    assert result.due_now


def test_a_cancel_before_any_run_leaves_no_attempt() -> None:
    task = a_task(status=Status.QUEUED, cancel_requested=True)

    result = folded(task, event("cancelled", token=""))

    assert (task.status, task.attempt, result.attempts) == (Status.CANCELLED, 0, {})


def test_what_has_ended_stays_as_it_is() -> None:
    task = a_task(status=Status.FAILED, error="first")

    result = folded(task, event("completed", result=1), event("running", n=5), event("queued", n=9))

    assert (task.status, task.error, task.delivery, task.changed) == (Status.FAILED, "first", 1, False)
    assert (result.ignored, result.finished) == (3, [])
    assert result.ended == [(str(ID), 1)]


def test_a_run_of_what_has_ended_is_unwanted() -> None:
    task = a_task(status=Status.CANCELLED)

    result = folded(task, event("running"), event("completed", result=1))

    assert result.unwanted == [(str(ID), 1)]
    assert task.status is Status.CANCELLED


def test_a_run_that_ends_in_the_same_batch_is_wanted() -> None:
    assert folded(a_task(), event("running"), event("completed", result=1)).unwanted == []


def test_a_later_delivery_than_the_ledger_s_is_followed() -> None:
    task = a_task(status=Status.QUEUED)

    folded(task, event("running", n=3, token="t3"), event("completed", n=3, token="t3", result=1))

    assert (task.status, task.delivery) == (Status.COMPLETED, 3)


def test_events_of_tasks_that_are_not_here_are_ignored() -> None:
    result = fold([event("running")], {}, max_worker_losses=3, rng=random.Random(1))

    assert result.ignored == 1


def test_progress_that_could_not_be_sent_comes_with_the_outcome() -> None:
    task, last = a_task(), {"fraction": 0.9, "message": "last"}

    folded(task, event("running"), event("failed", retryable=False, progress=last))

    assert (task.progress_fraction, task.progress_message) == (0.9, "last")


def test_lines_are_kept_up_to_the_limit_and_the_dropped_are_told() -> None:
    task = a_task(log_lines=MAX_LOG_LINES - 3)
    lines = [{"t": number, "m": f"line {number}"} for number in range(5)]

    result = folded(
        task,
        event("running"),
        event("log", lines=lines[:2]),
        event("completed", lines=lines[2:], dropped_log_lines=7, dropped_at=99),
    )

    assert [line.message for line in result.logs] == [
        "line 0",
        "line 1",
        "line 2",
        "7 more lines were dropped: a task keeps 1,000",
    ]
    assert task.log_lines == MAX_LOG_LINES


def test_progress_of_another_run_is_ignored() -> None:
    task = a_task()

    folded(task, event("running"), event("progress", token="t0", fraction=0.9, message=""))

    assert task.progress_fraction is None


_kinds = st.sampled_from(
    ["queued", "running", "completed", "failed", "timeout", "lost", "cancelled", "progress", "log"]
)


@st.composite
def _events(draw: st.DrawFn) -> Event:
    n = draw(st.integers(1, 4))
    kind = draw(_kinds)
    token = draw(st.sampled_from([f"t{n}", f"t{n}", f"u{n}", ""]))
    payload: dict[str, Any] = {
        "failed": {**FAILED, "retryable": draw(st.booleans())},
        "timeout": FAILED,
        "lost": {"reason": draw(st.sampled_from(["child_died", "abandoned"]))},
        "progress": {"fraction": 0.5, "message": "x"},
        "log": {"lines": [{"t": 1, "m": "x"}]},
        "completed": {"result": n},
    }.get(kind, {})
    return event(kind, n=n, token=token, **payload)


@settings(max_examples=500, deadline=None)
@given(
    batches=st.lists(st.lists(_events(), max_size=8), max_size=4),
    cancel=st.booleans(),
    data=st.data(),
)
def test_no_order_and_no_repetition_leads_astray(
    batches: list[list[Event]], data: st.DataObject, *, cancel: bool
) -> None:
    """Whatever comes: only legal moves, what has ended never moves again, delivery numbers never fall."""
    task = a_task(cancel_requested=cancel, max_retries=1)
    ends: list[Status] = []
    for batch in batches:
        for one in data.draw(st.permutations(batch + batch)):
            before = (task.status, task.delivery, task.result_json, task.error, task.attempt)
            result = folded(task, one, losses=2)

            assert task.status is before[0] or can_move(before[0], task.status)
            assert task.delivery >= before[1]
            if before[0] in TERMINAL:
                assert (task.status, task.delivery, task.result_json, task.error, task.attempt) == before
                assert not result.finished
            ends += [task.status] * len(result.finished)

    assert len(ends) <= 1
    assert (task.status in TERMINAL) == (len(ends) == 1)
    assert task.retry_count <= 1
    assert task.worker_losses <= 2
