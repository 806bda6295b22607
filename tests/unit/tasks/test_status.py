from __future__ import annotations

from itertools import product

from orchestrator.tasks.status import (
    TERMINAL,
    TRANSITIONS,
    UNFINISHED,
    Status,
    can_move,
    repairable_from,
    sources_of,
)


def test_every_status_has_its_row() -> None:
    assert set(TRANSITIONS) == set(Status)
    assert {"completed", "failed", "timeout", "cancelled"} == TERMINAL
    assert set(Status) == UNFINISHED | TERMINAL


def test_an_end_leads_nowhere_but_to_a_replay() -> None:
    assert TRANSITIONS[Status.COMPLETED] == frozenset()
    for end in TERMINAL - {Status.COMPLETED}:
        assert TRANSITIONS[end] == {Status.PENDING}


def test_every_unfinished_task_can_end_in_every_way() -> None:
    assert all(can_move(source, end) for source, end in product(UNFINISHED, TERMINAL))


def test_no_status_follows_itself_and_running_never_waits_again_but_by_repair() -> None:
    assert not any(can_move(status, status) for status in Status)
    assert not can_move(Status.RUNNING, Status.QUEUED)
    assert can_move(Status.RUNNING, Status.PENDING)


def test_sources_are_the_table_read_backwards() -> None:
    for source, target in product(Status, Status):
        assert (source in sources_of(target)) == can_move(source, target)
    assert repairable_from() <= UNFINISHED
    assert Status.RUNNING in repairable_from()
