from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from orchestrator.errors import LedgerDataError
from orchestrator.ledger.executions import end_attempts_lost, write_attempts, write_logs
from orchestrator.ledger.recording import (
    Position,
    lock_tasks,
    read_position,
    reject_event,
    write_position,
    write_tasks,
)
from orchestrator.ledger.tasks import get_tasks, insert_tasks, read_attempts
from orchestrator.tasks.state import AttemptState, TaskState
from orchestrator.tasks.status import Status
from tests.support.rows import a_task, insert_row, read_row

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from orchestrator.ledger.engine import Ledger


def _lock(connection: Connection, task_id: uuid.UUID) -> TaskState:
    return lock_tasks(connection, [task_id])[task_id]


def test_a_thousand_rows_are_locked_and_written_in_a_statement_each(ledger: Ledger) -> None:
    tasks = [a_task() for _ in range(1000)]
    with ledger.transaction() as connection:
        insert_tasks(connection, tasks)
    with ledger.transaction() as connection:
        states = lock_tasks(connection, [task.id for task in tasks])
        for number, state in enumerate(states.values()):
            state.status, state.attempt, state.token = Status.COMPLETED, 1, f"token-{number}"
            state.result_json, state.completed_seconds_ago = json.dumps({"number": number}), 0.25
        assert write_tasks(connection, list(states.values())) == {task.id for task in tasks}

    with ledger.transaction() as connection:
        rows = {row.id: row for row in get_tasks(connection, None, [task.id for task in tasks])}
    for number, state in enumerate(states.values()):
        row = rows[state.id]
        assert (row.status, row.token, row.result_json) == (
            Status.COMPLETED,
            f"token-{number}",
            f'{{"number": {number}}}',
        )


def test_nothing_to_write_is_nothing_written(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        assert write_tasks(connection, []) == set()
        write_attempts(connection, [])
        write_logs(connection, [])


def test_a_state_is_the_row_as_it_is_locked(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        task_id = insert_row(
            connection,
            status=Status.RUNNING,
            delivery=4,
            series=2,
            attempt=3,
            retry_count=1,
            worker_losses=2,
            shared_losses=1,
            agent_id="probe-1",
            incarnation="i",
            token="t",
            log_lines=7,
        )
        state = _lock(connection, task_id)
        assert state == TaskState(
            task_id, Status.RUNNING, 4, 2, 3, 1, 3, 5.0, 2, 1, "probe-1", "i", "t", 7, cancel_requested=False
        )
        assert lock_tasks(connection, [uuid.uuid4()]) == {}


def test_times_are_seconds_before_the_ledgers_now(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        task_id = insert_row(connection)
        state = _lock(connection, task_id)
        state.status = Status.RETRYING
        state.queued_seconds_ago, state.started_seconds_ago = 3.5, 2.0
        state.publish_in_seconds = 60.0
        write_tasks(connection, [state])
        now = connection.execute(text("SELECT now()")).scalar_one()
        row = read_row(connection, task_id)
        assert row.queued_at == now - timedelta(seconds=3.5)
        assert row.started_at == now - timedelta(seconds=2)
        assert row.publish_at == now + timedelta(seconds=60)
        assert row.completed_at is None

    with ledger.transaction() as connection:
        state = _lock(connection, task_id)
        write_tasks(connection, [state])
        assert read_row(connection, task_id).publish_at == row.publish_at
        assert read_row(connection, task_id).started_at == row.started_at


def test_an_error_stays_until_the_end_replaces_it(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        task_id = insert_row(connection, status=Status.RUNNING)
        state = _lock(connection, task_id)
        state.status, state.error, state.error_code, state.error_type = (
            Status.RETRYING,
            "no",
            "handler_error",
            "E",
        )
        write_tasks(connection, [state])
        state = _lock(connection, task_id)
        state.status = Status.RUNNING
        write_tasks(connection, [state])
        row = read_row(connection, task_id)
        assert (row.error, row.error_code, row.error_type) == ("no", "handler_error", "E")

        state = _lock(connection, task_id)
        state.status, state.result_json = Status.COMPLETED, "null"
        write_tasks(connection, [state])
        row = read_row(connection, task_id)
        assert (row.error, row.error_code, row.error_type, row.result_json) == (None, None, None, "null")


def test_errors_are_made_storable_and_cut(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        task_id = insert_row(connection)
        state = _lock(connection, task_id)
        state.status, state.error, state.error_type = Status.FAILED, "a\x00b\ud800c" + "x" * 20_000, "E\x00"
        write_tasks(connection, [state])
        row = read_row(connection, task_id)
    assert row.error is not None
    assert row.error.startswith("abcx")
    assert len(row.error) <= 8192
    assert row.error_type == "E"


@pytest.mark.parametrize("result", ['{"a": "\\u0000"}', '"\\ud800"', "1e200000", "[1,  2]", '{"a":1,"a":2}'])
def test_a_result_is_kept_to_the_letter(ledger: Ledger, result: str) -> None:
    with ledger.transaction() as connection:
        task_id = insert_row(connection)
        state = _lock(connection, task_id)
        state.status, state.result_json = Status.COMPLETED, result
        write_tasks(connection, [state])
        assert read_row(connection, task_id).result_json == result


@pytest.mark.parametrize("result", ["{", "NaN", '"\x00"', '"\ud800"', ""])
def test_a_result_that_is_no_json_changes_nothing(ledger: Ledger, result: str) -> None:
    with ledger.transaction() as connection:
        good, bad = insert_row(connection), insert_row(connection)
    with pytest.raises(LedgerDataError), ledger.transaction() as connection:  # noqa: PT012 - the end of the block
        states = lock_tasks(connection, [good, bad])
        for state in states.values():
            state.status, state.result_json = Status.COMPLETED, "1"
        states[bad].result_json = result
        write_tasks(connection, list(states.values()))

    with ledger.transaction() as connection:
        assert {row.status for row in get_tasks(connection, None, [good, bad])} == {Status.PENDING}


def test_a_later_delivery_may_come_from_any_unfinished_status(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        task_id = insert_row(connection, status=Status.RUNNING, delivery=1)
        state = replace(_lock(connection, task_id), status=Status.QUEUED, delivery=2)
        assert write_tasks(connection, [state]) == {task_id}


def test_an_earlier_delivery_changes_nothing(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        task_id = insert_row(connection, status=Status.RUNNING, delivery=2)
        state = replace(_lock(connection, task_id), status=Status.COMPLETED, delivery=1)
        assert write_tasks(connection, [state]) == set()
        assert read_row(connection, task_id).status is Status.RUNNING


def test_an_execution_is_one_row_filled_in_once(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        task_id = insert_row(connection)
        begun = AttemptState(task_id, "t", 1, 1, 1, "probe-1", "i", started_seconds_ago=3.0)
        ended = replace(
            begun,
            started_seconds_ago=None,
            ended_seconds_ago=1.0,
            execution_time_ms=2000.0,
            outcome="failed",
            error="a\x00b",
            error_type="ValueError",
            error_code="handler_error",
            traceback="Traceback\ud800 …",
        )
        write_attempts(connection, [begun])
        write_attempts(connection, [ended])
        write_attempts(connection, [replace(ended, outcome="completed", ended_seconds_ago=0.0)])
        (row,) = read_attempts(connection, task_id, 10)

    assert row.started_at is not None
    assert row.ended_at is not None
    assert row.ended_at - row.started_at == timedelta(seconds=2)
    assert (row.outcome, row.error, row.execution_time_ms) == ("failed", "ab", 2000.0)
    assert row.traceback == "Traceback …"


def test_runs_without_an_outcome_end_as_lost(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        task_id = insert_row(connection)
        begun = AttemptState(task_id, "t1", 1, 1, 1, "probe-1", "i", started_seconds_ago=3.0)
        done = replace(begun, token="t2", outcome="completed")
        write_attempts(connection, [begun, done])
        assert end_attempts_lost(connection, []) == 0
        assert end_attempts_lost(connection, [(task_id, "t2"), (task_id, "t1"), (uuid.uuid4(), "t1")]) == 1
        outcomes = {row.token: row.outcome for row in read_attempts(connection, task_id, 10)}
    assert outcomes == {"t1": "lost", "t2": "completed"}


def test_the_position_is_written_with_what_it_stands_for(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        assert read_position(connection) is None
        write_position(connection, "epoch-1", "5-0")
        write_position(connection, "epoch-2", "1-0")
    with pytest.raises(LookupError), ledger.transaction() as connection:  # noqa: PT012 - the end of the block
        write_position(connection, "epoch-2", "2-0")
        raise LookupError
    with ledger.transaction() as connection:
        assert read_position(connection) == Position("epoch-2", "1-0")


def test_a_rejected_event_is_kept_within_bounds(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        reject_event(connection, "1-0", "\x00\ud800" + "x" * 50_000, "no\x00pe")
        row = connection.execute(text("SELECT stream_id, length(entry), reason FROM rejected_events")).one()
    assert row[0] == "1-0"
    assert row[1] <= 16 * 1024
    assert row[2] == "nope"
