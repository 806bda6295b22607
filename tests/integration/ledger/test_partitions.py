from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from orchestrator.ledger.executions import write_attempts, write_logs
from orchestrator.ledger.partitions import default_rows, make_ahead
from orchestrator.ledger.tasks import get_task, insert_tasks, read_attempts, read_logs
from orchestrator.tasks.partitions import least_id, week_of
from orchestrator.tasks.state import AttemptState, LogLine
from tests.support.rows import a_task

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from orchestrator.ledger.engine import Ledger

FAR = datetime(2040, 2, 29, 12, tzinfo=UTC)


def _partition_of(connection: Connection, task_id: uuid.UUID) -> str:
    query = text("SELECT CAST(CAST(tableoid AS regclass) AS text) FROM tasks WHERE id = :id")
    return str(connection.execute(query, {"id": task_id}).scalar_one())


def _far_id(number: int = 0) -> uuid.UUID:
    return uuid.UUID(int=least_id(FAR).int + number)


def test_a_task_lies_in_the_week_of_its_id(ledger: Ledger) -> None:
    task = a_task()
    with ledger.transaction() as connection:
        insert_tasks(connection, [task])
        assert _partition_of(connection, task.id) == f"tasks_{week_of(datetime.now(UTC)).name}"


def test_migrating_makes_a_month_ahead(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    with ledger.transaction() as connection:
        assert make_ahead(connection, now) == []
        made = make_ahead(connection, now, weeks=6)
        assert sorted(made) == sorted(
            f"{table}_{week_of(now + timedelta(weeks=weeks)).name}"
            for table in ("tasks", "attempts", "task_logs")
            for weeks in (5, 6)
        )
        assert make_ahead(connection, now, weeks=6) == []


def test_an_id_of_no_week_lands_in_the_default_partition_and_moves_when_its_week_is_made(
    ledger: Ledger,
) -> None:
    task, other = a_task(id=_far_id()), a_task(id=uuid.UUID("018bcfe5-6800-7000-8000-000000000001"))
    with ledger.transaction() as connection:
        insert_tasks(connection, [task, other])
        write_attempts(connection, [AttemptState(task.id, "t", 1, 1, 1, "a", "i", started_seconds_ago=0.0)])
        write_logs(connection, [LogLine(task.id, "t", 0, "line")])
        assert _partition_of(connection, task.id) == "tasks_default"
        assert default_rows(connection) == {"tasks": 2, "attempts": 1, "task_logs": 1}

    with ledger.transaction() as connection:
        assert set(make_ahead(connection, FAR, weeks=0)) == {
            "tasks_2040w09",
            "attempts_2040w09",
            "task_logs_2040w09",
        }

    with ledger.transaction() as connection:
        assert _partition_of(connection, task.id) == "tasks_2040w09"
        assert _partition_of(connection, other.id) == "tasks_default"
        assert default_rows(connection) == {"tasks": 1, "attempts": 0, "task_logs": 0}
        assert get_task(connection, "default", task.id) is not None
        assert len(read_attempts(connection, task.id, 10)) == 1
        assert len(read_logs(connection, task.id, limit=10)) == 1


def test_a_new_week_has_every_index_and_check_of_the_others(ledger: Ledger) -> None:
    definitions = text("""
        SELECT regexp_replace(pg_get_indexdef(indexrelid), '(INDEX|ON) \\S+', '', 'g') FROM pg_index
        WHERE indrelid = CAST(:table AS regclass)
        UNION ALL
        SELECT pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid = CAST(:table AS regclass) AND contype = 'c' ORDER BY 1
    """)
    with ledger.transaction() as connection:
        for name in make_ahead(connection, FAR, weeks=0):
            table = name.rsplit("_", 1)[0]
            first = connection.execute(definitions, {"table": f"{table}_default"}).scalars().all()
            assert connection.execute(definitions, {"table": name}).scalars().all() == first
            assert first


def test_inserting_goes_on_while_a_week_is_made(ledger: Ledger) -> None:
    task = a_task()
    with ledger.transaction() as making:
        make_ahead(making, FAR, weeks=0)
        with ledger.transaction() as connection:
            insert_tasks(connection, [task])
    with ledger.transaction() as connection:
        assert get_task(connection, "default", task.id) is not None


def test_a_read_by_id_opens_one_partition(ledger: Ledger) -> None:
    task = a_task()
    with ledger.transaction() as connection:
        insert_tasks(connection, [task])
        query = text("EXPLAIN SELECT * FROM tasks WHERE id = CAST(:id AS uuid)")
        plan = connection.execute(query, {"id": str(task.id)}).scalars().all()
    assert sum("Scan" in line for line in plan) == 1
