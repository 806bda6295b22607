from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func

from orchestrator.errors import LedgerDataError
from orchestrator.ledger.repairs import (
    Raise,
    cancel_wishes,
    counts_by_status,
    due_for_publish,
    expired,
    in_flight,
    in_flight_among,
    postpone,
    raise_delivery,
)
from orchestrator.ledger.tasks import insert_tasks
from orchestrator.tasks.status import UNFINISHED, Status
from tests.support.rows import a_task, insert_row, set_row

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from orchestrator.ledger.engine import Ledger

PAST = func.now() - timedelta(minutes=1)


def _due(connection: Connection, **columns: object) -> uuid.UUID:
    return insert_row(connection, **{"publish_at": PAST, **columns})


def test_what_is_due_carries_everything_a_publish_needs(ledger: Ledger) -> None:
    task = a_task(
        parameters_json='{"a": "\\u0000"}',
        pinned_agent_id="probe-1",
        pin="prefer",
        priority=9,
        metadata={"k": [1]},
        request_id="r",
        delay_seconds=0.0,
    )
    with ledger.transaction() as connection:
        insert_row(
            connection, task, publish_at=PAST, delivery=3, attempt=2, retry_count=1, series=2, log_lines=4
        )
        (row,) = due_for_publish(connection, 10)

    for name in ("id", "tenant", "agent_type", "task_type", "pinned_agent_id", "pin", "parameters_json"):
        assert getattr(row, name) == getattr(task, name)
    for name in ("priority", "timeout_seconds", "max_retries", "metadata", "request_id"):
        assert getattr(row, name) == getattr(task, name)
    assert (row.delivery, row.attempt, row.retry_count, row.series, row.log_lines) == (3, 2, 1, 2, 4)


def test_only_what_waits_and_is_due_and_wanted_is_published(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        due = {_due(connection, status=status) for status in (Status.PENDING, Status.RETRYING)}
        for status in set(Status) - {Status.PENDING, Status.RETRYING}:
            _due(connection, status=status)
        insert_row(connection)
        _due(connection, cancel_requested_at=PAST)
        _due(connection, expires_at=PAST)
        assert {row.id for row in due_for_publish(connection, 100)} == due


def test_the_longest_overdue_comes_first_and_the_limit_holds(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        ids = [_due(connection, publish_at=func.now() - timedelta(seconds=age)) for age in (1, 3, 2)]
        assert [row.id for row in due_for_publish(connection, 2)] == [ids[1], ids[2]]


def test_what_was_postponed_is_not_due(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        task_id = _due(connection)
        assert postpone(connection, [task_id], 30.0) == 1
        assert due_for_publish(connection, 10) == []


def test_a_repaired_row_is_due_at_once(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        task_id = insert_row(connection, a_task(delay_seconds=600.0), status=Status.RUNNING)
        assert raise_delivery(connection, []) == []
        raised = raise_delivery(connection, [Raise(task_id, 1, 2)])
        assert due_for_publish(connection, 10) == raised


def test_rows_in_flight_come_in_pages(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        rows = {insert_row(connection, status=status): status for status in [*Status, *Status]}
        flying = sorted(i for i, status in rows.items() if status in ("queued", "sent", "running"))
        seen, after = [], None
        while page := in_flight(connection, after_id=after, limit=4):
            seen += [row.id for row in page]
            after = page[-1].id
        assert seen == flying

        sent = in_flight(connection, after_id=None, limit=10, statuses=(Status.SENT,))
        assert {row.status for row in sent} == {Status.SENT}
        assert in_flight(connection, after_id=None, limit=10, statuses=(Status.FAILED,)) == []


def test_rows_in_flight_are_found_by_id(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        running = insert_row(connection, status=Status.RUNNING, token="t", agent_id="a", incarnation="i")
        pending = insert_row(connection)
        (row,) = in_flight_among(connection, [str(pending), str(running), str(uuid.uuid4())])
        assert (row.id, row.status, row.token, row.agent_id, row.incarnation) == (
            running,
            Status.RUNNING,
            "t",
            "a",
            "i",
        )
        assert in_flight_among(connection, []) == []
    with pytest.raises(LedgerDataError), ledger.transaction() as connection:
        in_flight_among(connection, ["no id"])


def test_wishes_are_read_until_the_task_has_ended(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        ids = {status: insert_row(connection, status=status, cancel_requested_at=PAST) for status in Status}
        insert_row(connection)
        rows = cancel_wishes(connection, 100)
        assert [row.id for row in rows] == sorted(ids[status] for status in UNFINISHED)
        assert [row.id for row in cancel_wishes(connection, 2)] == [row.id for row in rows[:2]]
        assert [row.id for row in cancel_wishes(connection, 9, after_id=rows[1].id)] == [
            r.id for r in rows[2:]
        ]


def test_expired_is_what_never_ran_and_should_have(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        wanted = {insert_row(connection, status=status, expires_at=PAST) for status in UNFINISHED}
        insert_row(connection, status=Status.CANCELLED, expires_at=PAST)
        insert_row(connection, attempt=1, expires_at=PAST)
        insert_row(connection, a_task(expires_seconds=60.0))
        assert {row.id for row in expired(connection, 100)} == wanted
        assert len(expired(connection, 2)) == 2


def test_counts_are_bounded(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        insert_tasks(connection, [a_task() for _ in range(30)])
        task_id = insert_row(connection, status=Status.RUNNING)
        set_row(connection, task_id, run_at=datetime(2030, 1, 1, tzinfo=UTC))
        insert_row(connection, status=Status.FAILED)
        assert counts_by_status(connection) == {
            Status.PENDING: 30,
            Status.QUEUED: 0,
            Status.RETRYING: 0,
            Status.RUNNING: 1,
            Status.SENT: 0,
        }
        assert counts_by_status(connection, limit=10)[Status.PENDING] == 10
