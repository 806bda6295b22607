"""What right_size does with odd series, files and parameters, and with a million points."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator import PermanentError
from tests.support.alone import run_alone
from tests.unit.workers.cost.test_right_size import DAY, flat, one, right_size
from workers.cost import agent

if TYPE_CHECKING:
    from pathlib import Path

MILLION = 1_000_000


def answer(cpu: Any, **parameters: Any) -> dict[str, Any]:
    item: dict[str, Any] = right_size(one("m5.xlarge", cpu), **parameters)["instances"][0]
    return item


def test_one_point_and_a_short_series_get_no_answer() -> None:
    result = right_size(one("m5.xlarge", [[0, 5]], name="a"), one("m5.xlarge", flat(5, days=7), name="b"))
    assert result["monthly_savings"] is None
    assert {item["action"] for item in result["instances"]} == {None}
    assert "2 of 2 have no answer" in result["insufficient_data"]["instances"]
    assert "0.00 days, fewer than 7" in result["instances"][0]["reason"]
    assert answer([[0, 5]], minimum_days=0)["action"] == "downsize"


def test_order_and_repeated_times_do_not_matter_and_are_told() -> None:
    points = flat(10) + flat(30)
    item = answer(points[::-1])
    assert item["cpu"]["value"] == 20  # the mean of what a time has twice
    assert [note.split(":")[0] for note in item["notes"]] == ["cpu", "cpu"]


def test_gaps_are_told() -> None:
    assert any("gaps" in note for note in answer([*flat(10), [30 * DAY, 10]])["notes"])


@pytest.mark.parametrize(
    ("cpu", "message"),
    [
        ([], "instance i-1, cpu: has no points"),
        ([[0, math.nan]], "instance i-1, cpu: row 1, column value"),
        ([[0, "NaN"]], "instance i-1, cpu: row 1, column value"),
        ([[0, 1], ["yesterday", 1]], "instance i-1, cpu: row 2, column time"),
        ([[0, 1], [1, 140]], "instance i-1, cpu: holds 140"),
        ([[0, -1]], "instance i-1, cpu: holds -1"),
        ({"path": "../month.csv"}, "leads out of the data folder"),
    ],
)
def test_series_that_are_none_end_the_task(cpu: Any, message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        answer(cpu)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"instances": []},
        {"instances": [one("m5.large", flat(1))], "path": "a.csv"},
        {"instances": [one("m5.large", flat(1))], "instance_ids": ["i-1"]},
        {"instances": [one("m5.large", flat(1)), one("m5.large", flat(1))]},
        {"instances": [one("m5.large", flat(1))], "headroom": 1},
        {"instances": [one("m5.large", flat(1))], "max_steps": 0},
        {"instances": [one("m5.large", flat(1))], "prices": {"m5.large": -1}},
        {"instances": [one("m5.large", flat(1))], "catalogue": [{"size": "a", "cpu": 0}]},
        {"path": "a.csv", "columns": {"cpu": "size"}},
    ],
)
def test_bad_parameters_end_the_task(parameters: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match="do not fit the schema"):
        agent.run("right_size", parameters)


def write(folder: Path, rows: list[list[Any]], header: str = "instance_id,size,timestamp,cpu,ram") -> None:
    with (folder / "load.csv").open("w", newline="") as file:
        file.write(header + "\n")
        csv.writer(file).writerows(rows)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(tmp_path))
    rows = [
        [name, "m5.xlarge", day * DAY, load, load / 2]
        for day in range(8)
        for name, load in (("a", 10), ("b", 90))
    ]
    write(tmp_path, rows)
    return tmp_path


def from_file(**parameters: Any) -> dict[str, Any]:
    result: dict[str, Any] = agent.run("right_size", {"path": "load.csv", **parameters})
    return result


def test_file_has_the_instances_of_its_rows(folder: Path) -> None:
    result = from_file(columns={"memory": "ram"})
    assert [(item["id"], item["action"], item["memory"]["value"]) for item in result["instances"]] == [
        ("a", "downsize", 5),
        ("b", "upsize", 45),
    ]
    assert "memory" in from_file()["insufficient_data"]


def test_instance_ids_choose_among_them_and_missing_ones_are_told(folder: Path) -> None:
    result = from_file(instance_ids=["b", "c"])
    assert [item["id"] for item in result["instances"]] == ["b"]
    assert result["total_instances"] == 2
    assert result["insufficient_data"]["instance_ids"] == "1 are not in the data, the first of them c"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "row 1: no row is of an instance"),
        ([["a", "m5.large", 0, 1, 1], ["a", "m5.xlarge", 1, 1, 1]], "row 2, column size"),
        ([["a", "m5.large", 0, "", 1]], "row 1, column cpu"),
        ([["a", "m5.large", "never", 1, 1]], "row 1, column timestamp"),
        ([["a", "m5.large", 0, 1, "nan"]], "row 1, column ram"),
        ([["", "m5.large", 0, 1, 1]], "row 1, column instance_id"),
        ([["a", "m5.large", 0, 1]], "row 1: has 4 fields"),
        ([["a", "m5.large", 0, 101.5, 1]], "instance a, cpu: holds 101.5"),
    ],
)
def test_file_that_is_none_ends_the_task(folder: Path, rows: list[list[Any]], message: str) -> None:
    write(folder, rows)
    with pytest.raises(PermanentError, match=message):
        from_file(columns={"memory": "ram"})


def test_file_without_a_column_names_it(folder: Path) -> None:
    with pytest.raises(PermanentError, match="usage"):
        from_file(columns={"cpu": "usage"})


def test_a_million_points_are_sized_in_bounded_time_and_memory(tmp_path: Path) -> None:
    """One instance of a million points as a series, and a thousand of a thousand in a file."""
    with (tmp_path / "one.csv").open("w") as series, (tmp_path / "all.csv").open("w") as table:
        series.write("timestamp,value\n")
        table.write("instance_id,size,timestamp,cpu\n")
        for n in range(MILLION):
            series.write(f"{n * 60},{n % 100}\n")
            table.write(f"i-{n % 1000},m5.xlarge,{n // 1000 * 900},{n % 50}\n")
    series_of_one = {"id": "a", "size": "m5.xlarge", "cpu": {"path": "one.csv"}}

    long = run_alone("workers.cost", "right_size", {"instances": [series_of_one]}, data=tmp_path)
    wide = run_alone("workers.cost", "right_size", {"path": "all.csv"}, data=tmp_path)

    single, table_result = long.result, wide.result
    assert single["instances"][0]["cpu"]["value"] == 94  # 95 % of 0..99
    # i-k always shows k % 50 percent: up to 40 the next smaller size has room
    assert table_result["recommendations"] == [
        {"type": "downsize", "instances": 820, "monthly_savings": None}
    ]
    assert (len(table_result["instances"]), table_result["instances_left_off"]) == (500, 500)
    assert max(long.peak_mib, wide.peak_mib) <= 300
    assert max(long.cpu_seconds, wide.cpu_seconds) <= 60
