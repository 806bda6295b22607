"""The analysis of real, anonymised billing rows against a plain reading of the same file."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.workers.billing import real_data, sums_by
from workers.cost import agent

if TYPE_CHECKING:
    from tests.unit.workers.billing import Rows

SAMPLE = "focus/focus_sample.csv"


@pytest.fixture
def rows() -> Rows:
    with real_data(SAMPLE).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def analyze(monkeypatch: pytest.MonkeyPatch, **parameters: Any) -> dict[str, Any]:
    sample = real_data(SAMPLE)
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(sample.parents[1]))
    return agent.run("analyze_cost", {"path": SAMPLE, **parameters})


def test_real_totals_are_the_exact_decimal_sums(monkeypatch: pytest.MonkeyPatch, rows: Rows) -> None:
    result = analyze(monkeypatch, period="all")

    assert result["total_spend"] == "20.52022672899"
    for name, column in (
        ("total_spend", "BilledCost"),
        ("effective_spend", "EffectiveCost"),
        ("list_spend", "ListCost"),
    ):
        assert Decimal(result[name]) == sum(Decimal(row[column]) for row in rows)
    assert result["rows_analyzed"] == 1000
    assert result["currency"] == "USD"


@pytest.mark.parametrize(
    ("section", "column"),
    [
        ("by_service", "ServiceName"),
        ("by_sub_account", "SubAccountId"),
        ("by_region", "RegionId"),
        ("by_day", "day"),
    ],
)
def test_real_breakdowns_agree_with_a_plain_reading_and_add_up(
    monkeypatch: pytest.MonkeyPatch, rows: Rows, section: str, column: str
) -> None:
    result = analyze(monkeypatch)

    expected = sums_by(rows, column)
    items = result[section]["items"]
    other = Fraction(result[section]["other"]["total_spend"]) if result[section]["other"] else Fraction(0)
    assert {item["key"]: Fraction(item["total_spend"]) for item in items}.items() <= expected.items()
    assert sum(Fraction(item["total_spend"]) for item in items) + other == Fraction(result["total_spend"])
    assert len(items) + (result[section]["other"] or {"keys": 0})["keys"] == len(expected)


@pytest.mark.parametrize(
    ("period", "first_day"), [("last_7_days", "2024-09-24"), ("last_30_days", "2024-09-01")]
)
def test_real_periods_hold_the_whole_days_up_to_the_last_charge(
    monkeypatch: pytest.MonkeyPatch, rows: Rows, period: str, first_day: str
) -> None:
    result = analyze(monkeypatch, period=period)

    chosen = [Decimal(row["BilledCost"]) for row in rows if row["ChargePeriodStart"] >= first_day]
    assert Decimal(result["total_spend"]) == sum(chosen)
    assert result["rows_analyzed"] == len(chosen)
    assert result["period"]["first_day"] == first_day
    assert result["period"]["last_charge"] == "2024-09-30 23:00:00"


def test_real_account_is_chosen_by_either_of_its_ids(monkeypatch: pytest.MonkeyPatch, rows: Rows) -> None:
    for column, account in (("SubAccountId", "18938484842"), ("BillingAccountId", "20209880")):
        result = analyze(monkeypatch, account_id=account)
        expected = sum(Decimal(row["BilledCost"]) for row in rows if row[column] == account)
        assert Decimal(result["total_spend"]) == expected


def test_real_coverage_compares_list_costs(monkeypatch: pytest.MonkeyPatch, rows: Rows) -> None:
    coverage = analyze(monkeypatch)["commitment_coverage"]

    covered = sum(Decimal(row["ListCost"]) for row in rows if row["CommitmentDiscountStatus"] == "Used")
    on_demand = sum(
        Decimal(row["ListCost"])
        for row in rows
        if row["PricingCategory"] == "Standard" and row["ChargeCategory"] == "Usage"
    )
    assert Decimal(coverage["covered_list_cost"]) == covered
    assert Decimal(coverage["on_demand_list_cost"]) == on_demand
    assert Decimal(coverage["coverage_percentage"]) == round(100 * covered / (covered + on_demand), 2)


def test_real_recommendations_are_the_rows_the_provider_calls_idle_and_no_more(
    monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    result = analyze(monkeypatch)

    idle = [number for number, row in enumerate(rows, start=1) if "Idle" in row["ChargeDescription"]]
    assert sorted(row for item in result["recommendations"] for row in item["row_ids"]) == idle
    assert Decimal(result["potential_savings"]) == sum(Decimal(rows[row - 1]["BilledCost"]) for row in idle)
    assert "no EffectiveCost above 0" in result["insufficient_data"]["recommendations.commit_steady_usage"]


def test_real_result_is_small_json(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(json.dumps(analyze(monkeypatch), allow_nan=False)) < 64 * 1024
