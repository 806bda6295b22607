"""What processes of one agent tell each other through shared memory, over a real fork."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING

import pytest

from orchestrator.tasks.ids import new_task_id, new_token
from orchestrator.worker.slots import SLOTS_PER_CHILD, Doom, SlotState, SlotTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def begin(
    table: SlotTable, child: int = 0, *, token: str = "", delivery: int = 1, exclusive: bool = False
) -> int | None:
    return table.begin(
        child,
        pid=os.getpid(),
        task_id=str(new_task_id()),
        delivery=delivery,
        token=token or new_token(),
        exclusive=exclusive,
        hard_deadline=12.5,
    )


@pytest.fixture
def make_table() -> Iterator[Callable[[int], SlotTable]]:
    tables: list[SlotTable] = []

    def make(children: int) -> SlotTable:
        tables.append(SlotTable(children))
        return tables[-1]

    yield make
    for table in tables:
        table.close()


def in_a_child(work: Callable[[], None]) -> None:
    """Do the work in a forked process; fail if it fails."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - the child must end here, whatever happens
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def test_main_sees_what_a_child_entered(make_table: Callable[[int], SlotTable]) -> None:
    table, token = make_table(2), new_token()

    in_a_child(lambda: table.claimed(begin(table, 1, token=token, delivery=7, exclusive=True) or -1))

    (slot,) = table.in_use()
    assert (slot.index, slot.state, slot.token, slot.delivery) == (SLOTS_PER_CHILD, SlotState.HELD, token, 7)
    assert (slot.exclusive, slot.hard_deadline, slot.doomed) == (True, 12.5, Doom.NONE)
    assert slot.pid != os.getpid()
    assert len(slot.task_id) == 36


def test_main_reads_and_frees_what_a_child_spooled(make_table: Callable[[int], SlotTable]) -> None:
    table = make_table(1)
    report = b"completed\n" + b"x" * 100_000

    def child() -> None:
        index = begin(table)
        assert index is not None
        table.claimed(index)
        table.spool(index, b"an older, longer report" * 10_000)
        table.free(index)
        again = begin(table)
        assert again == index
        table.spool(again, report)

    in_a_child(child)

    (slot,) = table.in_use()
    assert (slot.state, slot.spool_bytes) == (SlotState.SPOOLED, len(report))
    assert table.read_spool(slot) == report
    table.free(slot.index)
    assert table.in_use() == []


def test_a_child_with_only_unsent_outcomes_has_no_slot(make_table: Callable[[int], SlotTable]) -> None:
    table = make_table(2)
    mine = [begin(table, 1) for _ in range(SLOTS_PER_CHILD)]

    assert mine == [4, 5, 6, 7]
    assert begin(table, 1) is None
    assert begin(table, 0) == 0
    table.free(6)
    assert begin(table, 1) == 6


def test_a_child_beyond_the_table_has_no_slot(make_table: Callable[[int], SlotTable]) -> None:
    assert begin(make_table(1), 1) is None


def test_a_child_sees_its_doom_and_the_first_reason_stays(make_table: Callable[[int], SlotTable]) -> None:
    table = make_table(1)
    index = begin(table)
    assert index is not None
    slot = table.read(index)
    table.doom(slot, Doom.CANCELLED)
    table.doom(slot, Doom.LOST)

    def child() -> None:
        assert table.read(index).doomed is Doom.CANCELLED

    in_a_child(child)


def test_a_doom_never_hits_the_next_run_of_the_slot(make_table: Callable[[int], SlotTable]) -> None:
    table = make_table(1)
    index = begin(table)
    assert index is not None
    old = table.read(index)
    table.free(index)
    assert begin(table) == index

    table.doom(old, Doom.CANCELLED)

    assert table.read(index).doomed is Doom.NONE


def test_the_lease_is_shared(make_table: Callable[[int], SlotTable]) -> None:
    table = make_table(1)
    table.lease_until = 1234.5

    in_a_child(lambda: table.__setattr__("lease_until", table.lease_until + 1))

    assert table.lease_until == 1235.5


def test_a_slot_s_second_outcome_is_not_its_first(make_table: Callable[[int], SlotTable]) -> None:
    table = make_table(1)

    for report in (b"completed\n1", b"failed\n22", b"lost\n"):

        def child(report: bytes = report) -> None:
            index = begin(table)
            assert index is not None
            table.spool(index, report)

        in_a_child(child)
        (slot,) = table.in_use()
        assert table.read_spool(slot) == report
        table.free(slot.index)
