"""Every statement that changes a status, tried from every status: it agrees with the transition table."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import pytest

from orchestrator.ledger.recording import lock_tasks, write_tasks
from orchestrator.ledger.repairs import Failure, Raise, end_tasks, fail_tasks, postpone, raise_delivery
from orchestrator.ledger.tasks import request_cancel
from orchestrator.tasks.status import TERMINAL, UNFINISHED, Status, can_move, repairable_from
from tests.support.rows import insert_row, read_row

if TYPE_CHECKING:
    import uuid

    from orchestrator.ledger.engine import Ledger

MOVES = list(product(Status, Status))


def test_recording_moves_by_the_table_within_a_delivery(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        ids = {move: insert_row(connection, status=move[0]) for move in MOVES}
        states = lock_tasks(connection, list(ids.values()))
        for (_, target), task_id in ids.items():
            states[task_id].status = target
        written = write_tasks(connection, list(states.values()))

        for (source, target), task_id in ids.items():
            allowed = source in UNFINISHED and (can_move(source, target) or source is target)
            assert (task_id in written) is allowed, f"{source} → {target}"
            assert read_row(connection, task_id).status is (target if allowed else source)


def test_recording_a_later_delivery_never_moves_what_has_ended(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        ids = {move: insert_row(connection, status=move[0]) for move in MOVES}
        states = lock_tasks(connection, list(ids.values()))
        for (_, target), task_id in ids.items():
            states[task_id] = replace(states[task_id], status=target, delivery=2)
        written = write_tasks(connection, list(states.values()))

    assert written == {task_id for (source, _), task_id in ids.items() if source in UNFINISHED}


@pytest.mark.parametrize("named", [True, False], ids=["status seen", "any status"])
def test_a_repair_goes_back_to_pending_by_the_table(ledger: Ledger, named: bool) -> None:
    with ledger.transaction() as connection:
        ids = {status: insert_row(connection, status=status, token="t", agent_id="a") for status in Status}
        items = [Raise(ids[status], 1, 2, status if named else None) for status in Status]
        raised = {row.id for row in raise_delivery(connection, items)}

        for status, task_id in ids.items():
            allowed = status in repairable_from() or status is Status.PENDING
            assert (task_id in raised) is allowed, status
            row = read_row(connection, task_id)
            assert (row.status, row.delivery) == ((Status.PENDING, 2) if allowed else (status, 1))
            assert (row.token, row.agent_id) == ((None, None) if allowed else ("t", "a"))


def test_a_repair_changes_nothing_but_what_it_saw(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        ids = [insert_row(connection, status=Status.RUNNING, delivery=3) for _ in range(4)]
        items = [
            Raise(ids[0], 2, 3, Status.RUNNING),
            Raise(ids[1], 3, 4, Status.QUEUED),
            Raise(ids[2], 3, 3, Status.RUNNING),
            Raise(ids[3], 3, 5, Status.RUNNING, worker_losses=1, shared_losses=2),
        ]
        (raised,) = raise_delivery(connection, items)
        row = read_row(connection, ids[3])

    assert (raised.id, raised.delivery, raised.parameters_json) == (ids[3], 5, "{}")
    assert (row.worker_losses, row.shared_losses) == (1, 2)


@pytest.mark.parametrize("target", [Status.FAILED, Status.TIMEOUT, Status.CANCELLED])
def test_an_end_comes_by_the_table_from_what_has_not_ended(ledger: Ledger, target: Status) -> None:
    with ledger.transaction() as connection:
        ids = {status: insert_row(connection, status=status) for status in Status}
        ended = end_tasks(connection, [Failure(task_id, 1, "c", "e\x00") for task_id in ids.values()], target)

        for status, task_id in ids.items():
            allowed = status in UNFINISHED and can_move(status, target)
            assert (task_id in ended) is allowed, status
            row = read_row(connection, task_id)
            assert row.status is (target if allowed else status)
            assert (row.error, row.error_code) == (("e", "c") if allowed else (None, None))
            assert (row.completed_at is not None) is allowed


def test_an_end_of_an_older_delivery_changes_nothing(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        task_id = insert_row(connection, status=Status.RUNNING, delivery=2)
        assert fail_tasks(connection, [Failure(task_id, 1, "c", "e")]) == []
        assert fail_tasks(connection, []) == []
        assert fail_tasks(connection, [Failure(task_id, 2, "c", "e", worker_losses=1)]) == [task_id]
        assert read_row(connection, task_id).worker_losses == 1


def test_only_what_waits_is_postponed(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        ids = {status: insert_row(connection, status=status) for status in Status}
        assert postpone(connection, list(ids.values()), 600) == 2
        assert postpone(connection, [], 600) == 0
        for status, task_id in ids.items():
            row = read_row(connection, task_id)
            late = (row.publish_at - row.created_at).total_seconds() > 500
            assert late is (status in (Status.PENDING, Status.RETRYING))


def test_of_a_cancel_and_an_end_at_once_one_wins(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        ids = [insert_row(connection, status=Status.RUNNING) for _ in range(20)]
    together = threading.Barrier(2, timeout=10)

    def cancel(task_id: uuid.UUID) -> bool:
        together.wait()
        with ledger.transaction() as connection:
            target = request_cancel(connection, "default", task_id)
        assert target is not None
        return target.cancel_requested_at is not None

    def complete(task_id: uuid.UUID) -> bool:
        together.wait()
        with ledger.transaction() as connection:
            state = lock_tasks(connection, [task_id])[task_id]
            seen = state.cancel_requested
            state.status = Status.CANCELLED if seen else Status.COMPLETED
            assert write_tasks(connection, [state]) == {task_id}
        return seen

    with ThreadPoolExecutor(2) as threads:
        for task_id in ids:
            wished, seen = threads.submit(cancel, task_id), threads.submit(complete, task_id)
            assert wished.result() is seen.result(), "the wish was taken, and the end did not see it"
            with ledger.transaction() as connection:
                assert read_row(connection, task_id).status in TERMINAL


def test_of_two_ends_at_once_one_wins(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        ids = [insert_row(connection, status=Status.RUNNING) for _ in range(50)]
    together = threading.Barrier(2, timeout=10)

    def end(status: Status, order: int) -> set[uuid.UUID]:
        together.wait()
        with ledger.transaction() as connection:
            return set(end_tasks(connection, [Failure(i, 1, status, "e") for i in ids[::order]], status))

    with ThreadPoolExecutor(2) as threads:
        failed, cancelled = threads.submit(end, Status.FAILED, 1), threads.submit(end, Status.CANCELLED, -1)
        assert failed.result() | cancelled.result() == set(ids)
        assert failed.result() & cancelled.result() == set()
    with ledger.transaction() as connection:
        for task_id in ids:
            row = read_row(connection, task_id)
            assert row.error_code == row.status
