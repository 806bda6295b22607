"""The statements that run all day find their rows by an index, in every partition."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text

from orchestrator.ledger import repairs
from orchestrator.ledger.engine import Ledger
from orchestrator.ledger.recording import lock_tasks, write_tasks
from orchestrator.ledger.tasks import get_task, list_tasks, request_cancel
from orchestrator.tasks.ids import new_task_id
from orchestrator.tasks.state import TaskState
from orchestrator.tasks.status import Status
from tests.support.rows import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from tests.support.postgres import PostgresServer

ROWS = 20_000
PAGE = 50


@pytest.fixture(scope="module")
def filled(postgres_server: PostgresServer, ledger_template: str) -> Iterator[Ledger]:
    name = postgres_server.create_database(ledger_template)
    ledger = Ledger(postgres_server.options(name), application_name="test-plans")
    with ledger.transaction(60) as connection:
        fill(connection, ROWS)
        fill(connection, 50, status="running")
    yield ledger
    ledger.close()
    postgres_server.drop_database(name)


def _list(**values: Any) -> Callable[[Connection], object]:
    return lambda connection: list_tasks(connection, "default", limit=PAGE, **values)


def _write(connection: Connection) -> None:
    states = [
        TaskState(
            new_task_id(), Status.RUNNING, 1, 1, 1, 0, 3, 5.0, 0, 0, "a", "i", "t", 0, cancel_requested=False
        )
        for _ in range(3)
    ]
    lock_tasks(connection, [state.id for state in states])
    write_tasks(connection, states)


HOT: dict[str, tuple[Callable[[Connection], object], set[str]]] = {
    "due for publish": (lambda c: repairs.due_for_publish(c, 1000), {"tasks_due"}),
    "in flight": (lambda c: repairs.in_flight(c, after_id=None, limit=1000), {"tasks_in_flight"}),
    "in flight, one status": (
        lambda c: repairs.in_flight(c, after_id=new_task_id(), limit=1000, statuses=(Status.QUEUED,)),
        {"tasks_in_flight"},
    ),
    "wishes": (lambda c: repairs.cancel_wishes(c, 1000), {"tasks_cancel_wishes"}),
    "expired": (lambda c: repairs.expired(c, 1000), {"tasks_expiring"}),
    "counts": (repairs.counts_by_status, {"tasks_due", "tasks_in_flight"}),
    "first page": (_list(), {"tasks_by_tenant", "tasks_pkey"}),
    "next page": (_list(before_id=new_task_id()), {"tasks_by_tenant", "tasks_pkey"}),
    "page of a rare status": (_list(statuses=[Status.FAILED]), {"tasks_by_status", "tasks_pkey"}),
    "page of statuses": (
        _list(statuses=[Status.FAILED, Status.COMPLETED], before_id=new_task_id()),
        {"tasks_by_status", "tasks_pkey"},
    ),
    "page of a rare type": (
        _list(agent_type="cost", task_type="analyze_cost"),
        {"tasks_by_type", "tasks_pkey"},
    ),
    "one task": (lambda c: get_task(c, "default", new_task_id()), {"tasks_by_tenant", "tasks_pkey"}),
    "wish": (lambda c: request_cancel(c, "default", new_task_id()), {"tasks_by_tenant", "tasks_pkey"}),
    "recording": (_write, {"tasks_pkey"}),
    "postponing": (lambda c: repairs.postpone(c, [new_task_id()], 1.0), {"tasks_due", "tasks_pkey"}),
    "raising": (lambda c: repairs.raise_delivery(c, [repairs.Raise(new_task_id(), 1, 2)]), {"tasks_pkey"}),
    "ending": (
        lambda c: repairs.fail_tasks(c, [repairs.Failure(new_task_id(), 1, "c", "e")]),
        {"tasks_pkey"},
    ),
}


@pytest.mark.parametrize("name", HOT)
def test_a_hot_statement_uses_its_index(filled: Ledger, name: str) -> None:
    with filled.transaction() as connection:
        assert _faults(connection, name) == []


@pytest.mark.parametrize(
    ("index", "name"),
    [
        ("tasks_due", "due for publish"),
        ("tasks_in_flight", "in flight"),
        ("tasks_cancel_wishes", "wishes"),
        ("tasks_expiring", "expired"),
        ("tasks_by_status", "page of a rare status"),
        ("tasks_by_type", "page of a rare type"),
    ],
)
def test_a_lost_index_would_be_seen(filled: Ledger, index: str, name: str) -> None:
    with filled.transaction() as connection:
        connection.execute(text(f"DROP INDEX {index}"))
        assert _faults(connection, name)
        connection.rollback()


def _faults(connection: Connection, name: str) -> list[str]:
    """Return what a hot statement reads otherwise than it should, in any partition but the DEFAULT ones."""
    run, indexes = HOT[name]
    parents = _parents(connection)
    with _plans(connection) as plans:
        run(connection)
    nodes = [node for plan in plans for node in _nodes(plan)]
    used = {parents[node["Index Name"]] for node in nodes if "Index Name" in node}
    whole = [node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"]
    return [
        *(f"reads all of {relation}" for relation in whole if not relation.endswith("_default")),
        *(f"uses {index}" for index in used - indexes),
        *(() if used else ("uses no index",)),
    ]


def test_a_page_reads_no_more_at_the_far_end(filled: Ledger) -> None:
    with filled.transaction() as connection:
        first = list_tasks(connection, "default", limit=PAGE)
        oldest = text("SELECT id FROM tasks ORDER BY id LIMIT :count")
        last_ids = connection.execute(oldest, {"count": PAGE + 10}).scalars().all()
        with _plans(connection, analyze=True) as plans:
            far = list_tasks(connection, "default", limit=PAGE, before_id=last_ids[-1])
    assert (len(first), len(far)) == (PAGE, PAGE)
    read = sum(node["Actual Rows"] for node in _nodes(plans[0]) if "Scan" in node["Node Type"])
    assert read <= PAGE + 10


@contextmanager
def _plans(connection: Connection, *, analyze: bool = False) -> Iterator[list[dict[str, Any]]]:
    """Gather the plan of every statement on tasks that the block executes, literals and all."""
    plans: list[dict[str, Any]] = []

    def explain(conn: Any, cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if "tasks" in statement:
            options = "ANALYZE, FORMAT JSON" if analyze else "FORMAT JSON"
            cursor.execute(f"EXPLAIN ({options}) {statement}", parameters)
            plans.append(cursor.fetchone()[0][0]["Plan"])

    event.listen(connection, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(connection, "before_cursor_execute", explain)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _parents(connection: Connection) -> dict[str, str]:
    """Return, for each partition's index, the name of the partitioned index."""
    query = text("""
        SELECT child.relname, parent.relname FROM pg_inherits
        JOIN pg_class AS child ON child.oid = inhrelid JOIN pg_class AS parent ON parent.oid = inhparent
        WHERE child.relkind = 'i'
    """)
    return {row[0]: row[1] for row in connection.execute(query)}
