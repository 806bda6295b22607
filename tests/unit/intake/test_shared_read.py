from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator.errors import LedgerUnavailableError
from orchestrator.intake.shared_read import SharedRead
from tests.support.waiting import wait_for


class Source:
    def __init__(self) -> None:
        self.reads = 0
        self.gate = threading.Event()
        self.gate.set()
        self.failing = False

    def read(self) -> int:
        self.reads += 1
        value = self.reads
        assert self.gate.wait(10)
        if self.failing:
            raise LedgerUnavailableError("away")
        return value


def test_value_is_kept_while_it_is_fresh() -> None:
    source = Source()
    shared = SharedRead(source.read, fresh_seconds=60)

    assert [shared.get(), shared.get(), shared.last()] == [1, 1, 1]
    assert shared.get_new() == 2


def test_stale_value_is_read_again() -> None:
    source = Source()
    shared = SharedRead(source.read, fresh_seconds=0)

    assert [shared.get(), shared.get()] == [1, 2]


def test_those_who_come_during_a_read_share_the_next() -> None:
    source = Source()
    source.gate.clear()
    shared = SharedRead(source.read, fresh_seconds=60)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(shared.get)
        wait_for(lambda: source.reads == 1)
        rest = [pool.submit(shared.get) for _ in range(8)]
        source.gate.set()

        assert {first.result(5), *(future.result(5) for future in rest)} == {1}


def test_those_who_come_during_a_read_share_its_failure() -> None:
    source = Source()
    source.gate.clear()
    source.failing = True
    shared = SharedRead(source.read, fresh_seconds=60)
    entered = []

    def get() -> int:
        entered.append(1)
        return shared.get()

    with ThreadPoolExecutor(9) as pool:
        futures = [pool.submit(get) for _ in range(9)]
        wait_for(lambda: len(entered) == 9 and source.reads == 1)
        source.gate.set()
        for future in futures:
            with pytest.raises(LedgerUnavailableError):
                future.result(5)

    assert source.reads <= 2, "one that was not yet waiting may have read once more"
    source.failing = False
    assert shared.get() == source.reads


def test_reads_keep_their_distance() -> None:
    source = Source()
    shared = SharedRead(source.read, fresh_seconds=0, pause_seconds=0.1)
    started = time.monotonic()
    for _ in range(3):
        shared.get_new()

    assert time.monotonic() - started >= 0.2
