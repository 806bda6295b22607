"""What a series is, and what is said of input that is none or an odd one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from marshmallow import Schema, ValidationError

from orchestrator import PermanentError
from orchestrator.parameters import to_json_schema
from tests.unit.workers.billing import real_data
from workers.series import MAX_INLINE_POINTS, SeriesField, load_series

if TYPE_CHECKING:
    from pathlib import Path

    from workers.series import Series


class Parameters(Schema):
    series = SeriesField(required=True, metadata={"description": "a series"})


def load(given: Any, folder: Path) -> Series:
    return load_series(Parameters().load({"series": given})["series"], folder)


def load_text(text: str, folder: Path) -> Series:
    (folder / "s.csv").write_text(text, encoding="utf-8")
    return load({"path": "s.csv"}, folder)


def refusal(given: Any, folder: Path) -> str:
    with pytest.raises(PermanentError) as caught:
        load(given, folder)
    return str(caught.value)


def test_file_and_inline_points_are_the_same_series(tmp_path: Path) -> None:
    inline = load([["2024-01-01 00:00:00", 1.5], ["2024-01-01 00:05:00", "2"]], tmp_path)
    file = load_text("timestamp,other,value\n2024-01-01T00:00Z,x,1.5\n2024-01-01 00:05,y,2\n", tmp_path)
    for series in (inline, file):
        assert series.values.tolist() == [1.5, 2.0]
        assert [series.time_text(0), series.time_text(1)] == ["2024-01-01T00:00:00Z", "2024-01-01T00:05:00Z"]
        assert (series.step_seconds, series.gaps, series.notes) == (300.0, 0, [])


def test_other_columns_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("when,cpu\n0,5\n60,6\n", encoding="utf-8")
    series = load({"path": "s.csv", "time": "when", "value": "cpu"}, tmp_path)
    assert series.seconds.tolist() == [0.0, 60.0]


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("1970-01-02", 86_400),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01 00:00:01.2500000", 1.25),
        (1.25, 1.25),
        ("1e3", 1000),
        (-60, -60),
    ],
)
def test_times_are_utc_and_numbers_are_seconds(tmp_path: Path, time: Any, seconds: float) -> None:
    assert load([[time, 1]], tmp_path).seconds.tolist() == [seconds]


def test_unordered_points_are_sorted_and_said_so(tmp_path: Path) -> None:
    series = load([[120, 3], [0, 1], [60, 2]], tmp_path)
    assert series.values.tolist() == [1, 2, 3]
    assert series.notes == ["points earlier than the one before them: 1; sorted by time"]


def test_a_time_that_stands_twice_has_the_mean_of_its_values(tmp_path: Path) -> None:
    series = load([[60, 2], [0, 1], [60, 5], [120, 9], [60, 5]], tmp_path)
    assert series.values.tolist() == [1, 4, 9]
    assert series.duplicates == 2
    assert "points that repeat a time: 2; each time has the mean of its values" in series.notes


def test_gaps_are_counted_against_the_median_step(tmp_path: Path) -> None:
    series = load([[time, 1] for time in (0, 60, 120, 300, 360, 420)], tmp_path)
    assert (series.step_seconds, series.gaps) == (60, 1)
    assert "1, the longest of 180 s" in series.notes[0]


def test_a_single_point_and_constant_values_are_series(tmp_path: Path) -> None:
    single = load([[5, 7]], tmp_path)
    assert (len(single), single.step_seconds, single.gaps, single.is_constant) == (1, None, 0, True)
    assert load([[0, 7], [1, 7]], tmp_path).is_constant
    assert not load([[0, 7], [1, 8]], tmp_path).is_constant


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "series: has no points; give at least one"),
        ([[0, 1], [1, None]], "series: row 2, column value: holds a NoneType; give a number"),
        ([[0, float("nan")]], "row 1, column value: nan is not a finite number"),
        ([[0, float("inf")]], "row 1, column value: inf is not a finite number"),
        ([[0, 10**400]], "row 1, column value: inf is not a finite number"),
        ([[0, 1e16]], "row 1, column value: 1e+16 is out of range"),
        ([[0, True]], "row 1, column value: holds a bool"),
        ([[True, 1]], "row 1, column time: holds a bool"),
        ([[1_700_000_000_000, 1]], "seconds since 1970-01-01, not milliseconds"),
        ([["2024-13-01", 1]], "row 1, column time: '2024-13-01' is not a time"),
        ([["soon", 1]], "is not a time"),
        ([[float("nan"), 1]], "row 1, column time: nan is out of range"),
        ([[0, 1], [1]], "row 2: is no pair"),
        ([7], "row 1: is no pair"),
    ],
)
def test_bad_points_are_refused_by_row_and_column(tmp_path: Path, points: list[Any], message: str) -> None:
    assert message in refusal(points, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing column timestamp; the file has none"),
        ("timestamp,value\n", "has no points"),
        ("Timestamp,value\n0,1\n", "missing column timestamp; the file has Timestamp"),
        ("timestamp,value,value\n0,1,1\n", "column value stands there twice"),
        ("timestamp,value\n0,1\n60,\n", "row 2, column value: has no value"),
        ("timestamp,value\n0,NaN\n", "row 1, column value: 'NaN' is not a finite decimal number"),
        ("timestamp,value\n0,1_000\n", "is not a finite decimal number"),
        ("timestamp,value\n0,1e999\n", "row 1, column value: inf is not a finite number"),
        ("timestamp,value\n0,1,2\n", "row 1: has 3 fields where the header has 2"),
        ('timestamp,value\n0,"1\n', "row 1: unexpected end of data"),
        ("timestamp,value\n0," + "1" * 70_000 + "\n", "line 2: is longer than 65536 bytes"),
    ],
)
def test_bad_files_are_refused_by_row_and_column(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PermanentError) as caught:
        load_text(text, tmp_path)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500


def test_bytes_that_are_no_text_and_files_outside_the_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_bytes(b"timestamp,value\n0,\xff\n")
    assert "line 2: is not UTF-8 text" in refusal({"path": "s.csv"}, tmp_path)
    assert "out of the data folder" in refusal({"path": "../s.csv"}, tmp_path)
    assert "no such file" in refusal({"path": "none.csv"}, tmp_path)


def test_more_points_than_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.series.load.MAX_POINTS", 3)
    assert len(load([[0, 1], [1, 1], [2, 1]], tmp_path)) == 3
    assert "more than 3 points" in refusal([[0, 1], [1, 1], [2, 1], [3, 1]], tmp_path)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "s.csv",
        7,
        {},
        {"time": "t"},
        {"path": ""},
        {"path": 5},
        {"path": "s.csv", "column": "v"},
        {"path": "s.csv", "value": ""},
        [[0, 0]] * (MAX_INLINE_POINTS + 1),
    ],
)
def test_what_is_no_series_does_not_fit_the_schema(given: Any) -> None:
    with pytest.raises(ValidationError):
        Parameters().load({"series": given})


def test_schema_tells_both_shapes() -> None:
    described = to_json_schema(Parameters())["properties"]["series"]
    assert described["description"] == "a series"
    assert [shape["type"] for shape in described["oneOf"]] == ["object", "array"]


def test_real_latencies_with_repeated_times_are_their_means() -> None:
    file = real_data("cloudwatch/ec2_request_latency_system_failure.csv")
    series = load({"path": file.name}, file.parent)
    lines = file.read_text(encoding="utf-8").splitlines()[1:]
    by_time: dict[str, list[float]] = {}
    for line in lines:
        time, value = line.split(",")
        by_time.setdefault(time.replace(" ", "T") + "Z", []).append(float(value))
    assert len(series) == len(by_time) == len(lines) - series.duplicates
    expected = [sum(values) / len(values) for _, values in sorted(by_time.items())]
    assert np.allclose(series.values, expected, rtol=1e-12)
    assert series.duplicates == 11
