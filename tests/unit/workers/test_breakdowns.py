"""Sums by service, sub-account, region and day; periods; movers."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from tests.unit.workers.billing import analyze_rows, charge, on_day, random_charges, sums_by, write_csv
from workers.cost import agent
from workers.focus.breakdown import (
    MAX_DAYS_LISTED,
    TOP_KEYS,
    Breakdown,
    SpendText,
    describe_days,
    describe_top,
)
from workers.focus.charge import COLUMNS, read_charge
from workers.focus.period import Period, PeriodName, choose_period

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("seed", range(3))
def test_generated_sums_are_exact_to_the_last_digit_in_files_and_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rows = list(random_charges(2_000, seed))
    write_csv(tmp_path / "bill.csv", rows)
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(tmp_path))

    result = agent.run("analyze_cost", {"path": "bill.csv"})

    assert result == analyze_rows(rows)
    for name, column in (
        ("total_spend", "BilledCost"),
        ("effective_spend", "EffectiveCost"),
        ("list_spend", "ListCost"),
    ):
        assert Fraction(result[name]) == sum(Fraction(row[column]) for row in rows)
    for section, column in (("by_service", "ServiceName"), ("by_sub_account", "SubAccountId")):
        expected = sums_by(rows, column)
        top = sorted(expected.values(), reverse=True)[:TOP_KEYS]
        items = result[section]["items"]
        assert [Fraction(item["total_spend"]) for item in items] == top
        assert all(Fraction(item["total_spend"]) == expected[item["key"]] for item in items)
        assert Fraction(result[section]["other"]["total_spend"]) == sum(expected.values()) - sum(top)
        assert result[section]["other"]["keys"] == len(expected) - TOP_KEYS
    assert {item["key"]: Fraction(item["total_spend"]) for item in result["by_day"]["items"]} == sums_by(
        rows, "day"
    )


def test_a_large_and_a_tiny_amount_both_count() -> None:
    rows = [charge(BilledCost=cost) for cost in ("99999999999999999999", "0.000000000000000000000000000001")]
    assert analyze_rows(rows)["total_spend"] == "99999999999999999999.000000000000000000000000000001"


def test_amounts_are_written_plainly_whatever_their_notation() -> None:
    rows = [charge(BilledCost=cost) for cost in ("1.5E-7", "+2.50", ".5", "3.", 4, 0.25, "-0", "1E3")]
    assert analyze_rows(rows)["total_spend"] == "1010.25000015"
    assert analyze_rows([charge(BilledCost="1.10"), charge(BilledCost="-1.1")])["total_spend"] == "0"


def test_charges_without_a_service_or_region_are_a_line_of_their_own() -> None:
    result = analyze_rows([charge(ServiceName=""), charge(ServiceName="NULL", RegionId=""), charge()])
    assert [(item["key"], item["rows"]) for item in result["by_service"]["items"]] == [
        (None, 2),
        ("Compute", 1),
    ]
    assert {item["key"] for item in result["by_region"]["items"]} == {None, "eu"}


def test_keys_beyond_the_memory_bound_go_to_other_and_the_sum_stays() -> None:
    table: Breakdown[str | None] = Breakdown(max_keys=3)
    for number in range(10):
        fields = charge(BilledCost="2", ServiceName=f"s{number}")
        table.add(f"s{number}", read_charge(1, [str(fields.get(column, "")) for column in COLUMNS]), 0)

    described = describe_top(table, SpendText(has_effective=True, has_list=True))

    assert described["other"]["total_spend"] == "14"
    assert described["other"]["keys_complete"] is False
    assert table.total().rows == 10


def test_days_beyond_the_listed_ones_are_the_earliest_and_summed_as_other() -> None:
    table: Breakdown[str] = Breakdown()
    one = read_charge(1, [str(charge().get(column, "")) for column in COLUMNS])
    for number in range(MAX_DAYS_LISTED + 2):
        table.add(f"day {number:04}", one, -1)

    described = describe_days(table.tallies.items(), SpendText(has_effective=True, has_list=False))

    assert described["items"][0]["key"] == "day 0002"
    assert described["items"][0]["list_spend"] is None
    assert (described["other"]["keys"], described["other"]["total_spend"]) == (2, "2")


def test_result_stays_small_for_many_keys_of_the_longest_kind() -> None:
    rows = [
        on_day(1 + n % 30, ServiceName=f"{n:0256}", SubAccountId=f"{n:0250}", RegionId=f"{n:0240}")
        for n in range(3_000)
    ]
    assert len(json.dumps(analyze_rows(rows))) < 128 * 1024


@pytest.mark.parametrize(
    ("name", "first", "expected"),
    [
        (PeriodName.ALL, 1, 1),
        (PeriodName.LAST_7_DAYS, 1, 94),
        (PeriodName.LAST_30_DAYS, 1, 71),
        (PeriodName.LAST_30_DAYS, 90, 90),
    ],
)
def test_period_counts_whole_days_back_from_the_last_charge_and_never_before_the_first(
    name: PeriodName, first: int, expected: int
) -> None:
    assert choose_period(name, first, 100) == Period(expected, 100)


def test_daily_and_hourly_charges_of_the_first_day_are_both_in_the_period() -> None:
    daily = charge(
        ChargePeriodStart="2024-09-24 00:00:00", ChargePeriodEnd="2024-09-25 00:00:00", BilledCost="5"
    )
    late = charge(ChargePeriodStart="2024-09-30T23:00:00Z", ChargePeriodEnd="2024-10-01T00:00:00Z")
    before = charge(
        ChargePeriodStart="2024-09-23 23:00:00", ChargePeriodEnd="2024-09-24 00:00:00", BilledCost="70"
    )
    assert analyze_rows([late, daily, before], period="last_7_days")["total_spend"] == "6"


def test_period_counts_back_from_the_last_charge_of_the_account() -> None:
    rows = [on_day(30, SubAccountId="a"), on_day(10, SubAccountId="b"), on_day(3, SubAccountId="b")]
    result = analyze_rows(rows, account_id="b", period="last_7_days")
    assert (result["period"]["last_day"], result["total_spend"], result["rows_read"]) == (
        "2024-09-10",
        "1",
        3,
    )


def test_rows_outside_the_period_or_account_are_not_read_for_amounts() -> None:
    rows = [on_day(1, BilledCost="bad"), on_day(30), on_day(30, SubAccountId="b", BilledCost="bad")]
    assert analyze_rows(rows, account_id="sub-1", period="last_7_days")["total_spend"] == "1"


def test_time_with_a_zone_is_counted_on_its_utc_day() -> None:
    row = charge(ChargePeriodStart="2024-09-30T23:00:00-02:00", ChargePeriodEnd="2024-09-30T23:30:00-02:00")
    assert analyze_rows([row])["by_day"]["items"][0]["key"] == "2024-10-01"


def test_movers_compare_halves_of_equal_length_and_leave_the_middle_day_out() -> None:
    rows = [
        on_day(1, ServiceName="grows", BilledCost="1"),
        on_day(5, ServiceName="grows", BilledCost="4"),
        on_day(2, ServiceName="shrinks", BilledCost="9"),
        on_day(4, ServiceName="shrinks", BilledCost="1"),
        on_day(3, ServiceName="middle", BilledCost="100"),
        on_day(5, ServiceName="new", BilledCost="2"),
        on_day(1, ServiceName="steady", BilledCost="7"),
        on_day(5, ServiceName="steady", BilledCost="7"),
    ]

    movers = analyze_rows(rows)["top_movers"]

    assert movers["earlier"] == {"start": "2024-09-01", "end": "2024-09-02"}
    assert movers["later"] == {"start": "2024-09-04", "end": "2024-09-05"}
    assert [(item["key"], item["change"], item["change_percentage"]) for item in movers["by_service"]] == [
        ("shrinks", "-8", "-88.89"),
        ("grows", "3", "300"),
        ("new", "2", None),
    ]


def test_single_day_has_no_movers_and_says_why() -> None:
    result = analyze_rows([charge()])
    assert result["top_movers"] is None
    assert "single day" in result["insufficient_data"]["top_movers"]


def test_amounts_that_some_rows_lack_are_null_and_say_why() -> None:
    result = analyze_rows([charge(), charge(EffectiveCost="NULL", ListCost="")])
    assert result["total_spend"] == "2"
    assert result["effective_spend"] is result["list_spend"] is None
    assert result["insufficient_data"]["effective_spend"] == "1 of 2 rows have no EffectiveCost, first row 2"
    assert result["by_day"]["items"][0]["effective_spend"] is None


def test_rows_with_the_two_needed_columns_alone_are_analysed() -> None:
    result = analyze_rows([{"BilledCost": "2", "ChargePeriodStart": "2024-09-30"}])
    assert result["total_spend"] == "2"
    assert result["recommendations"] == []
    assert result["potential_savings"] is None
    unanswered = {
        "effective_spend",
        "list_spend",
        "currency",
        "by_service",
        "commitment_coverage",
        "potential_savings",
    }
    assert unanswered <= result["insufficient_data"].keys()


def test_charges_longer_than_a_day_are_noted() -> None:
    rows = [charge(ChargePeriodStart="2024-09-01", ChargePeriodEnd="2024-10-01")]
    assert any(
        "1 charges last longer than a day, first row 1" in note for note in analyze_rows(rows)["notes"]
    )
