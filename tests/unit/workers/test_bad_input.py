"""Input that cannot be analysed ends for good, and the error names row, column and remedy."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from orchestrator import PermanentError
from tests.unit.workers.billing import HEADER, analyze_rows, charge, write_csv
from workers.cost import agent
from workers.data_folder import _walk
from workers.focus.records import MAX_RECORD_BYTES
from workers.focus.schemas import MAX_INLINE_ROWS


def short(value: object) -> str:
    """Name a case by the beginning of its value."""
    return ascii(value)[:40]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(folder))
    return folder


def refusal(parameters: dict[str, Any]) -> str:
    with pytest.raises(PermanentError) as caught:
        agent.run("analyze_cost", parameters)
    assert len(str(caught.value)) < 2_500
    return str(caught.value)


def refusal_of_file(folder: Path, content: bytes) -> str:
    (folder / "bill.csv").write_bytes(content)
    return refusal({"path": "bill.csv"})


def csv_with(**changed: str) -> bytes:
    """Three rows, the second with the changed fields."""
    lines = [",".join(HEADER)]
    lines += [",".join(charge(**fields).values()) for fields in ({}, changed, {})]
    return "\n".join(lines).encode() + b"\n"


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("BilledCost", "", "has no value"),
        ("BilledCost", "NULL", "has no value"),
        ("BilledCost", "12 USD", "is not a decimal number"),
        ("BilledCost", "NaN", "is not a decimal number"),
        ("BilledCost", "-Infinity", "is not a decimal number"),
        ("BilledCost", "1_000", "is not a decimal number"),
        ("BilledCost", "٣", "is not a decimal number"),
        ("BilledCost", "1e999999", "is not a decimal number"),
        ("BilledCost", "1e999", "is out of range"),
        ("BilledCost", "1e-999", "is out of range"),
        ("BilledCost", "9" * 60, "is out of range"),
        ("BilledCost", "9" * 100_000, "is not a decimal number"),
        ("EffectiveCost", "x", "is not a decimal number"),
        ("ListCost", "--1", "is not a decimal number"),
        ("PricingQuantity", "1h", "is not a decimal number"),
        ("ConsumedQuantity", "inf", "is not a decimal number"),
        ("ChargePeriodStart", "", "has no value"),
        ("ChargePeriodStart", "30/09/2024", "is not a time"),
        ("ChargePeriodStart", "2024-02-30 00:00:00", "is not a time"),
        ("ChargePeriodStart", "0001-01-01T00:00:00+14:00", "is not a time"),
        ("ChargePeriodEnd", "soon", "is not a time"),
        ("ChargePeriodEnd", "2024-09-29 00:00:00", "lies before ChargePeriodStart"),
        ("BillingCurrency", "EUR", "'EUR' after 'USD' in row 1"),
        ("ServiceName", "s" * 300, "holds 300 characters"),
    ],
    ids=short,
)
def test_bad_field_is_named_by_row_and_column_in_files_and_rows(
    folder: Path, column: str, value: Any, problem: str
) -> None:
    for text in (
        refusal_of_file(folder, csv_with(**{column: value})),
        refusal({"rows": [charge(), charge(**{column: value}), charge()]}),
    ):
        assert text.startswith(f"row 2, column {column}: ")
        assert problem in text


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), True, ["1"], {"a": 1}, 0.1234567890123456, 10**5000],
    ids=["nan", "infinity", "boolean", "list", "object", "16 digits", "5001 digits"],
)
def test_json_value_that_is_no_exact_number_is_named(value: Any) -> None:
    assert refusal({"rows": [charge(BilledCost=value)]}).startswith("row 1, column BilledCost: ")


def test_row_without_a_needed_key_is_named() -> None:
    assert refusal({"rows": [{"ChargePeriodStart": "2024-09-30"}]}).startswith("row 1, column BilledCost: ")
    assert refusal({"rows": [{"BilledCost": "1"}]}).startswith("row 1, column ChargePeriodStart: ")


@pytest.mark.parametrize(
    "column",
    ["BilledCost", "ChargePeriodStart", "ChargePeriodEnd", "EffectiveCost", "ListCost", "ServiceName"],
)
def test_missing_column_is_named(folder: Path, column: str) -> None:
    write_csv(folder / "bill.csv", [charge()], [name for name in HEADER if name != column])
    text = refusal({"path": "bill.csv"})
    assert f"header (row 0): missing column {column}" in text
    assert "export as FOCUS 1.0" in text


def test_mistyped_column_is_named_with_the_near_one(folder: Path) -> None:
    text = refusal_of_file(folder, csv_with().replace(b"BilledCost", b"Billedcost"))
    assert "missing column BilledCost (is 'Billedcost' meant?)" in text


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "missing column BilledCost"),
        (csv_with().split(b"\n", maxsplit=1)[0], "row 1: there is none"),
        (csv_with().replace(b"BillingCurrency", b"BilledCost"), "column BilledCost stands there twice"),
        (csv_with().replace(b"Compute", b"Comp\xffte"), "row 1: is not UTF-8 text"),
        (csv_with().decode().encode("utf-16"), "header (row 0): is not UTF-8 text"),
        (csv_with().replace(b"Compute", b"Comp\0te"), "row 1: holds a NUL character"),
        (csv_with(ServiceName='"Comp'), "row 2: unexpected end of data"),
        (csv_with(ServiceName='"Comp"ute'), "row 2: ',' expected after '\"'"),
        (csv_with(ServiceName="Compute,x"), "row 2: has 22 fields where the header has 21"),
        (
            csv_with() + b"1,2,3\n",
            "row 4: has 3 fields where the header has 21, so column BillingCurrency is missing",
        ),
        (csv_with(ServiceName="s" * MAX_RECORD_BYTES), f"row 2: is longer than {MAX_RECORD_BYTES} bytes"),
        (csv_with(ChargeDescription='"' + "d\n" * MAX_RECORD_BYTES + '"'), "row 2: "),
        (csv_with(ChargeDescription="d" * 140_000), "row 2: field larger than field limit"),
        (csv_with(ChargePeriodStart="1024-09-30", ChargePeriodEnd=""), "more than 3660 days"),
    ],
    ids=short,
)
def test_file_that_is_no_focus_csv_is_refused(folder: Path, content: bytes, problem: str) -> None:
    assert problem in refusal_of_file(folder, content)


def test_account_without_charges_is_an_empty_period(folder: Path) -> None:
    (folder / "bill.csv").write_bytes(csv_with())
    for source in ({"path": "bill.csv"}, {"rows": [charge()]}):
        text = refusal({**source, "account_id": "nobody"})
        assert "columns SubAccountId, BillingAccountId" in text
        assert "'nobody', so the period is empty" in text


def test_no_rows_at_all_are_refused() -> None:
    assert refusal({"rows": []}).startswith("row 1: there is none")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("../secret.csv", "leads out of the data folder"),
        ("inner/../../secret.csv", "leads out of the data folder"),
        ("/etc/passwd", "leads out of the data folder"),
        ("../no-such-file.csv", "leads out of the data folder"),
        ("link-out.csv", "leads out of the data folder"),
        ("folder-out/secret.csv", "leads out of the data folder"),
        ("no-such-file.csv", "no such file"),
        ("bill.csv/inner.csv", "is not a regular file"),
        ("inner", "is not a regular file"),
        (".", "is the data folder itself"),
        ("pipe", "is not a regular file"),
        ("loop", "circle"),
        ("a\0b", "holds a character no file name can have"),
        ("a\ud800b", "holds a character no file name can have"),
        ("n" * 1000, "give a valid path"),
    ],
    ids=short,
)
def test_path_that_is_no_file_of_the_folder_is_refused(folder: Path, path: str, problem: str) -> None:
    (folder.parent / "secret.csv").write_bytes(csv_with())
    (folder / "bill.csv").write_bytes(csv_with())
    (folder / "inner").mkdir()
    (folder / "link-out.csv").symlink_to(folder.parent / "secret.csv")
    (folder / "folder-out").symlink_to(folder.parent)
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "pipe")
    text = refusal({"path": path})
    assert problem in text
    assert str(folder) not in text


def test_link_that_stays_in_the_folder_is_followed(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "bill.csv").write_bytes(csv_with())
    (folder / "link.csv").symlink_to(folder / "inner" / "bill.csv")
    assert agent.run("analyze_cost", {"path": "link.csv"})["total_spend"] == "3"
    assert agent.run("analyze_cost", {"path": str(folder / "link.csv")})["total_spend"] == "3"


def test_link_put_in_place_after_the_check_is_not_followed(folder: Path) -> None:
    (folder.parent / "secret.csv").write_bytes(csv_with())
    (folder / "bill.csv").symlink_to(folder.parent / "secret.csv")
    (folder / "inner").symlink_to(folder.parent)
    for swapped in ("bill.csv", "inner/secret.csv"):
        with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
            _walk(folder, Path(swapped))


def test_missing_data_folder_is_the_operators_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(tmp_path / "none"))
    assert "ORCHESTRATOR_DATA_DIR names no folder" in refusal({"path": "bill.csv"})


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"path": "a.csv", "rows": [charge()]},
        {"path": None, "rows": None},
        {"path": ""},
        {"rows": "x"},
        {"rows": [1]},
        {"rows": [charge()], "period": "last_90_days"},
        {"rows": [charge()], "unknown": 1},
        {"rows": [charge()], "account_id": ""},
        {"rows": [charge()], "account_id": "NULL"},
        {"rows": [{}] * (MAX_INLINE_ROWS + 1)},
    ],
)
def test_parameters_that_do_not_fit_are_refused_before_anything_is_read(parameters: dict[str, Any]) -> None:
    assert "do not fit the schema" in refusal(parameters)


def test_good_rows_around_the_bad_ones_are_analysed() -> None:
    assert json.loads(json.dumps(analyze_rows([charge(), charge()])))["total_spend"] == "2"
