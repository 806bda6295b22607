"""What a trace may hold: formats that are read, and each bad row refused with its row and column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from orchestrator import PermanentError
from workers.performance import agent
from workers.serving import trace as trace_module
from workers.serving.source import load_lengths, load_requests
from workers.table import REPORTS, FileChangedError, read_columns

if TYPE_CHECKING:
    from pathlib import Path

    from workers.serving.trace import Trace

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"
GOOD = "2023-11-16 18:17:03.9799600,4808,10"
NAMES = {
    "path": "trace.csv",
    "arrival": "TIMESTAMP",
    "context_tokens": "ContextTokens",
    "generated_tokens": "GeneratedTokens",
}


def silent(_done: float) -> None:
    pass


def read(folder: Path, *lines: str, **names: str) -> Trace:
    (folder / "trace.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load_requests({**NAMES, **names}, folder, silent)


def test_times_are_read_to_the_last_of_their_decimal_places(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "﻿" + HEADER,
        GOOD,
        "2023-11-16 18:17:03.9799601,1,1",
        "",
        "2023-11-16T19:17:04.979960+01:00,2,3",
        "2023-11-16 18:17:05.97996Z,4,5",
        "2023-11-17 18:17:03.97996,6,7",
    )

    np.testing.assert_array_equal(found.arrivals, [0.0, 1e-7, 1.0, 2.0, 86_400.0])
    assert list(found.context) == [4808, 1, 2, 4, 6]
    assert list(found.generated) == [10, 1, 3, 5, 7]
    assert list(found.rows) == [1, 2, 3, 4, 5]
    assert found.notes == []


def test_columns_may_have_other_names_other_places_and_seconds(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "model,out,in,at",
        "x,3,30,1000.5",
        'y,4,"40",1001',
        arrival="at",
        context_tokens="in",
        generated_tokens="out",
    )

    assert [list(found.arrivals), list(found.context), list(found.generated)] == [[0, 0.5], [30, 40], [3, 4]]


def test_unordered_rows_are_sorted_and_equal_times_keep_their_order(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER, "5,1,1", "3,2,2", "5,3,3", "3,4,4")

    assert list(found.arrivals) == [0, 0, 2, 2]
    assert list(found.rows) == [2, 4, 1, 3]
    assert list(found.context) == [2, 4, 1, 3]
    assert found.notes == ["2 rows arrive before the row above them; the requests were sorted by arrival"]


def test_many_equal_times_keep_their_order(tmp_path: Path) -> None:
    found = load_requests([[1, 1 + n, 1] for n in range(500)] + [[0, 9, 9]], tmp_path, silent)

    assert list(found.rows) == [501, *range(1, 501)]


def test_lengths_need_no_column_of_arrivals(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("ContextTokens,GeneratedTokens\n5,6\n")
    found = load_lengths(NAMES, tmp_path, silent)

    assert (list(found.context), list(found.generated)) == ([5], [6])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "2023-11-16 18:17:03,0,10",
            "row 2, column ContextTokens: '0' is not a whole number of tokens from 1",
        ),
        ("2023-11-16 18:17:03,12.5,10", "row 2, column ContextTokens: '12.5'"),
        ("2023-11-16 18:17:03,NaN,10", "row 2, column ContextTokens: 'NaN'"),
        ("2023-11-16 18:17:03,5,", "row 2, column GeneratedTokens: ''"),
        ("2023-11-16 18:17:03,5,-1", "row 2, column GeneratedTokens: '-1'"),
        ("2023-11-16 18:17:03,5,10000001", "row 2, column GeneratedTokens: '10000001'"),
        ("2023-11-16 18:17:03,٣,1", "row 2, column ContextTokens: '٣'"),
        ("2023-11-16 18:17:60,5,1", "row 2, column TIMESTAMP: .* has a second past 59"),
        ("2023-02-30 18:17:03,5,1", "row 2, column TIMESTAMP: '2023-02-30 18:17' is not a time"),
        ("17.5,5,1", "row 2, column TIMESTAMP: '17.5' is not a time"),
        ("NaT,5,1", "row 2, column TIMESTAMP: 'NaT' is not a time"),
        ("2023-11-16 18:17:03,5", "row 2: has 2 fields, the header 3"),
        ("2023-11-16 18:17:03,5,1,1", "row 2: has 4 fields, the header 3"),
        ('2023-11-16 18:17:03,"5,1', "row 2: unexpected end of data"),
        ("a" * 70_000, "row 2: is longer than 65536 bytes"),
        ("2023-11-16 18:17:03,5,\0", "row 2: holds a NUL character"),
    ],
)
def test_bad_row_of_a_file_is_named(tmp_path: Path, line: str, problem: str) -> None:
    with pytest.raises(PermanentError, match=problem):
        read(tmp_path, HEADER, GOOD, line)


@pytest.mark.parametrize("seconds", ["nan", "-1", "1e400", "4000000001"])
def test_seconds_out_of_range_are_refused(tmp_path: Path, seconds: str) -> None:
    with pytest.raises(PermanentError, match=r"row 2, column TIMESTAMP: .* is not a number of seconds"):
        read(tmp_path, HEADER, "1,1,1", f"{seconds},1,1")


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("TIMESTAMP,Context,GeneratedTokens", r"missing column ContextTokens \(is 'Context' meant"),
        (f"{HEADER},TIMESTAMP", "column TIMESTAMP stands there twice"),
        ("", "missing column TIMESTAMP"),
    ],
)
def test_bad_header_is_named(tmp_path: Path, header: str, problem: str) -> None:
    with pytest.raises(PermanentError, match=rf"header \(row 0\): .*{problem}"):
        read(tmp_path, header, GOOD)


def test_bytes_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_bytes(f"{HEADER}\n{GOOD}\n".encode() + b"\xff,1,1\n")
    with pytest.raises(PermanentError, match="row 2: is not UTF-8 text"):
        load_requests(NAMES, tmp_path, silent)


@pytest.mark.parametrize("text", ["", HEADER, f"{HEADER}\n\n"])
def test_trace_without_requests_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "trace.csv").write_text(text)
    with pytest.raises(PermanentError, match=r"holds no requests|missing column"):
        load_requests(NAMES, tmp_path, silent)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ([True, 1, 1], "row 2, column arrival: True is not a number of seconds"),
        ([float("inf"), 1, 1], "row 2, column arrival: inf is not"),
        (["2024-01-01 00:00:00", 1, 1], "row 2, column arrival"),
        ([1, 1.5, 1], "row 2, column context_tokens: 1.5 is not a whole number"),
        ([1, 0, 1], "row 2, column context_tokens: 0 is not"),
        ([1, True, 1], "row 2, column context_tokens: True is not"),
        ([1, 1, None], "row 2, column generated_tokens: None is not"),
        ([1, 1, [2]], "row 2, column generated_tokens: a list is not"),
        ([1, 10**400, 1], "row 2, column context_tokens: a number of many digits is not"),
        ([10**400, 1, 1], "row 2, column arrival: a number of many digits is not"),
        ([1, 1], r"row 2: is not \[arrival, context_tokens, generated_tokens\]"),
        ({"arrival": 1}, "row 2: is not"),
    ],
)
def test_bad_inline_row_is_named(tmp_path: Path, row: Any, problem: str) -> None:
    with pytest.raises(PermanentError, match=problem):
        load_requests([[0, 1, 1], row], tmp_path, silent)


def test_more_requests_than_are_taken_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_module, "MAX_REQUESTS", 2)
    for load in (load_requests, load_lengths):
        with pytest.raises(PermanentError, match="row 3: a trace may hold 2 requests at most"):
            load([[0, 1, 1]] * 3, tmp_path, silent)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"path": "../trace.csv"}, "leads out of the data folder"),
        ({"path": "none.csv"}, "no such file"),
        ({"path": "trace.csv", "column": "x"}, "Unknown field"),
        ({"path": "trace.csv", "arrival": "ContextTokens"}, "names the same column twice"),
        ({}, "Missing data for required field"),
        ("trace.csv", "Invalid input type"),
        (None, "may not be null"),
        ([], "holds no requests"),
    ],
)
def test_trace_parameter_that_names_nothing_readable_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Any, problem: str
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(tmp_path / "data"))
    parameters = {
        "trace": given,
        "cost_model": {"prefill_seconds_per_token": 0.1, "decode_base_seconds": 0.1},
    }
    with pytest.raises(PermanentError, match=problem):
        agent.run("tune_inference", parameters)


def test_file_written_to_meanwhile_is_noticed_and_may_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("\n".join([HEADER, *[GOOD] * 5_000]) + "\n")
    with path.open("rb") as file:
        rows = read_columns(file, HEADER.split(","), silent)
        next(rows)
        with path.open("a") as other:
            other.write(f"{GOOD}\n")
        with pytest.raises(FileChangedError):
            list(rows)
    assert agent.find("tune_inference").is_retryable(FileChangedError())


def test_reading_reports_its_progress_a_bounded_number_of_times(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("\n".join([HEADER, *[GOOD] * 3_000]) + "\n")
    seen: list[float] = []
    with path.open("rb") as file:
        assert len(list(read_columns(file, HEADER.split(","), seen.append))) == 3_000

    assert seen == sorted(seen)
    assert 1 < len(seen) <= REPORTS
    assert seen[-1] <= 1
