from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import LedgerDataError
from orchestrator.ledger.executions import write_attempts, write_logs
from orchestrator.ledger.tasks import (
    find_created,
    get_task,
    get_tasks,
    insert_tasks,
    list_tasks,
    read_attempts,
    read_logs,
    request_cancel,
)
from orchestrator.tasks.state import AttemptState, LogLine
from orchestrator.tasks.status import TERMINAL, UNFINISHED, Status
from tests.support.rows import a_task, insert_row, read_row, set_row

if TYPE_CHECKING:
    from orchestrator.ledger.engine import Ledger

AWKWARD = '{"nul": "a\\u0000b", "lone": "\\ud800", "big": 1e200000, "twice": 1, "twice": 2,  "spaces":   []}'


def test_what_was_sent_is_what_is_read(ledger: Ledger) -> None:
    task = a_task(
        parameters_json=AWKWARD,
        pinned_agent_id="probe-1",
        pin="prefer",
        priority=15,
        timeout_seconds=7,
        max_retries=0,
        retry_delay_seconds=0.5,
        metadata={"team": "finops", "ünï": ["x", 1, None]},
        callback_url="http://localhost/done",
        request_id="r-1",
    )
    with ledger.transaction() as connection:
        (created,) = insert_tasks(connection, [task])
    with ledger.transaction() as connection:
        row = get_task(connection, "default", task.id)

    assert row is not None
    assert row.parameters_json == AWKWARD
    assert row.created_at == created
    for name in ("id", "tenant", "agent_type", "task_type", "pinned_agent_id", "pin", "priority", "metadata"):
        assert getattr(row, name) == getattr(task, name)
    for name in ("timeout_seconds", "max_retries", "retry_delay_seconds", "callback_url", "request_id"):
        assert getattr(row, name) == getattr(task, name)
    assert (row.status, row.delivery, row.series, row.attempt) == (Status.PENDING, 1, 1, 0)
    assert row.publish_at - row.created_at == timedelta(seconds=2)
    assert (row.run_at, row.expires_at, row.result_json, row.error) == (None, None, None, None)


def test_a_batch_is_one_transaction_in_order(ledger: Ledger) -> None:
    tasks = [a_task(priority=1 + number % 15) for number in range(500)]
    with ledger.transaction() as connection:
        created = insert_tasks(connection, tasks)
        assert insert_tasks(connection, []) == []
    with ledger.transaction() as connection:
        rows = {row.id: row for row in get_tasks(connection, None, [task.id for task in tasks])}

    assert [rows[task.id].created_at for task in tasks] == created
    assert [rows[task.id].priority for task in tasks] == [task.priority for task in tasks]


def test_delays_are_counted_by_the_ledgers_clock(ledger: Ledger) -> None:
    at = datetime(2030, 1, 1, 12, tzinfo=UTC)
    delayed, timed, expiring = a_task(delay_seconds=90.5), a_task(run_at=at), a_task(expires_seconds=30.0)
    with ledger.transaction() as connection:
        insert_tasks(connection, [delayed, timed, expiring])
        row = read_row(connection, delayed.id)
        assert row.run_at == row.publish_at == row.created_at + timedelta(seconds=90.5)
        row = read_row(connection, timed.id)
        assert row.run_at == row.publish_at == at
        row = read_row(connection, expiring.id)
        assert row.expires_at == row.created_at + timedelta(seconds=30)


@pytest.mark.parametrize(
    "bad",
    [
        a_task(parameters_json="{"),
        a_task(metadata={"a": "\x00"}),
        a_task(priority=16),
        a_task(request_id="\x00"),
        a_task(parameters_json='"\ud800"'),
    ],
)
def test_one_bad_row_refuses_the_batch(ledger: Ledger, bad: object) -> None:
    good = a_task()
    with pytest.raises(LedgerDataError), ledger.transaction() as connection:
        insert_tasks(connection, [good, bad])  # type: ignore[list-item]

    with ledger.transaction() as connection:
        assert find_created(connection, [good.id]) == {}


def test_an_id_is_accepted_once(ledger: Ledger) -> None:
    task = a_task()
    with ledger.transaction() as connection:
        (created,) = insert_tasks(connection, [task])
    with pytest.raises(LedgerDataError), ledger.transaction() as connection:
        insert_tasks(connection, [task])
    with ledger.transaction() as connection:
        assert find_created(connection, [task.id, uuid.uuid4()]) == {task.id: created}


def test_a_tenant_sees_its_own_only(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        theirs = insert_row(connection, a_task(tenant="theirs"))
        assert get_task(connection, "default", theirs) is None
        assert get_tasks(connection, "default", [theirs]) == []
        assert list_tasks(connection, "default", limit=10) == []
        assert request_cancel(connection, "default", theirs) is None
        assert get_task(connection, "theirs", theirs) is not None


def test_pages_hold_every_task_once_newest_first(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        ids = sorted(insert_row(connection) for _ in range(23))
        pages, before = [], None
        while page := list_tasks(connection, "default", limit=5, before_id=before):
            pages.append(len(page))
            before = page[-1].id
            insert_row(connection)
            for row in page:
                assert row.id == ids.pop()
    assert (ids, pages) == ([], [5, 5, 5, 5, 3])


@pytest.mark.parametrize("statuses", [(), ("failed",), ("failed", "timeout"), tuple(Status)])
def test_pages_by_status_and_type(ledger: Ledger, statuses: tuple[str, ...]) -> None:
    wanted = [Status(status) for status in statuses]
    with ledger.transaction() as connection:
        rows = [
            insert_row(connection, a_task(task_type=task_type, agent_type=agent_type), status=status)
            for status in Status
            for agent_type in ("probe", "cost")
            for task_type in ("echo", "sleep")
        ]
        shown, before = [], None
        while page := list_tasks(
            connection,
            "default",
            statuses=wanted,
            agent_type="probe",
            task_type="sleep",
            limit=2,
            before_id=before,
        ):
            shown += page
            before = page[-1].id

    assert len(shown) == len(wanted or Status)
    assert [row.id for row in shown] == sorted((row.id for row in shown), reverse=True)
    assert {row.status for row in shown} == set(wanted or Status)
    assert {row.id for row in shown} <= set(rows)
    assert {(row.agent_type, row.task_type) for row in shown} == {("probe", "sleep")}


@pytest.mark.parametrize("status", sorted(UNFINISHED))
def test_a_wish_to_cancel_is_written_once(ledger: Ledger, status: Status) -> None:
    with ledger.transaction() as connection:
        task_id = insert_row(connection, status=status, delivery=3, agent_id="probe-1")
        target = request_cancel(connection, "default", task_id)
    assert target is not None
    assert (target.status, target.delivery, target.agent_id) == (status, 3, "probe-1")
    assert target.cancel_requested_at is not None

    with ledger.transaction() as connection:
        assert request_cancel(connection, "default", task_id) == target


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_what_has_ended_is_not_wished_away(ledger: Ledger, status: Status) -> None:
    with ledger.transaction() as connection:
        task_id = insert_row(connection, status=status)
        target = request_cancel(connection, "default", task_id)
        assert target is not None
        assert (target.status, target.cancel_requested_at) == (status, None)
        assert read_row(connection, task_id).cancel_requested_at is None


def test_log_lines_are_read_on_from_where_one_was(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        task_id = insert_row(connection)
        lines = [
            LogLine(task_id, "t", 1_700_000_000_123 - number, f"line {number}\x00") for number in range(50)
        ]
        write_logs(connection, lines)
        write_logs(connection, [LogLine(task_id, "t", 0, "last")])
        first = read_logs(connection, task_id, limit=30)
        rest = read_logs(connection, task_id, after_seq=first[-1].seq, limit=30)

    assert [row.message for row in first + rest] == [f"line {number}" for number in range(50)] + ["last"]
    assert first[0].at == datetime.fromtimestamp(1_700_000_000.123, UTC)


def test_attempts_come_latest_first(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        task_id = insert_row(connection)
        attempts = [
            AttemptState(
                task_id, f"token-{number}", number, 1, number, "a", "i", started_seconds_ago=10.0 - number
            )
            for number in (1, 2, 3)
        ]
        write_attempts(connection, attempts)
        assert [row.delivery for row in read_attempts(connection, task_id, 2)] == [3, 2]


def test_a_result_of_a_mebibyte_is_read_back(ledger: Ledger) -> None:
    result = json.dumps({"text": "x" * 1_048_000})
    with ledger.transaction() as connection:
        task_id = insert_row(connection)
        set_row(connection, task_id, status=Status.COMPLETED, result=result)
        assert read_row(connection, task_id).result_json == result
