"""Journals are read whole line by whole line, as they grow."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.chaos.journal import Pen, Reader

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_is_read_as_it_grows(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    pen = Pen(str(tmp_path), run="r1", task="a", kind="slow")

    pen.write("start", attempt=1)
    (open_run,) = reader.open_runs()
    pen.write("sign")
    pen.write("end", how="returned")
    pen.close()

    assert reader.open_runs() == []
    assert (open_run.pid, open_run.main, open_run.how) == (os.getpid(), os.getppid(), "returned")
    assert len(open_run.signs) == 3


def test_a_line_that_is_not_whole_yet_waits_for_its_rest(tmp_path: Path) -> None:
    reader, path = Reader(tmp_path), tmp_path / "1.jsonl"
    line = '{"at": 1.0, "what": "start", "run": "r1", "task": "a", "kind": "slow", "pid": 1, "main": 1}\n'

    path.write_text(line[:40])
    assert reader.read() == {}
    path.write_text(line)

    assert set(reader.read()) == {"r1"}


def test_a_process_that_has_begun_another_run_has_left_the_first(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for name in ("r1", "r2"):
        pen = Pen(str(tmp_path), run=name, task=name, kind="slow")
        pen.write("start")
        pen.close()

    assert [run.run for run in reader.open_runs()] == ["r2"]


@pytest.mark.parametrize(
    ("signs", "stretches"),
    [([1.0, 1.1, 1.2], [(1.0, 1.2)]), ([1.0, 1.1, 5.0], [(1.0, 1.1), (5.0, 5.0)])],
)
def test_signs_far_apart_are_stretches_of_their_own(
    tmp_path: Path, signs: list[float], stretches: list[tuple[float, float]]
) -> None:
    pen = Pen(str(tmp_path), run="r1", task="a", kind="slow")
    pen.write("start")
    pen.close()
    run = Reader(tmp_path).read()["r1"]
    run.signs[:] = signs

    assert run.stretches() == stretches
