"""Commitments: the generated month in closed form, every whole quantity tried, and unanswerable data."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator import PermanentError
from tests.unit.workers.billing import charge, real_data
from tests.unit.workers.cost.month import HOURS, hour_of, instance
from workers.commitment.optimum import HourlyUsage, Offer, Rates, best_offer
from workers.cost import agent

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.workers.billing import Rows


def reserve(**parameters: Any) -> dict[str, Any]:
    return agent.run("reserved_instances", parameters)


@pytest.fixture
def plan(month_folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(month_folder))
    return reserve(path="month.csv")


def test_month_totals_are_those_of_the_closed_form(plan: dict[str, Any]) -> None:
    """Two vm-gpu save 2 * 0.8 * 720; 4 vm-large save 72 * (0.1 * (1+2+3+4*7) - 0.06 * 40): in 730 hours."""
    assert plan["total_instances"] == 20
    assert plan["monthly_savings"] == "1241"
    assert [
        (item["type"], item["sku_id"], item["instances"], item["monthly_savings"])
        for item in plan["recommendations"]
    ] == [
        ("commit", "vm-gpu", 2, "1168"),
        ("commit", "vm-large", 4, "73"),
    ]
    assert plan["skus"] == {
        "examined": 3,
        "recommended": 2,
        "below_break_even": 0,
        "nothing_uncovered": 1,
        "without_answer": 0,
    }
    assert plan["average_size_reduction"] is None
    assert plan["period"]["hours"] == HOURS


def test_month_utilisation_coverage_and_break_even_follow_their_definitions(plan: dict[str, Any]) -> None:
    large = plan["recommendations"][1]
    assert large["utilization_percentage"] == "85"  # 34 tenths of 40
    assert large["coverage_percentage"] == "61.82"  # 34 of 55 tenths
    assert large["coverage_before_percentage"] == "26.67"  # 20 of 75 tenths
    assert large["coverage_after_percentage"] == "72"  # 54 of 75 tenths
    assert large["break_even_utilization_percentage"] == "60"
    assert large["break_even_months"] == pytest.approx(12 * 0.6 / 0.85, abs=0.005)
    assert large["optimal_quantile_percentage"] == "40"
    assert large["committed_rate_from"] == "data"
    assert large["usage_quantiles"] == {
        "0": "1",
        "5": "1",
        "10": "1",
        "25": "3",
        "50": "5",
        "75": "8",
        "90": "9",
        "95": "10",
        "100": "10",
    }
    gpu = plan["recommendations"][0]
    assert (gpu["utilization_percentage"], gpu["coverage_percentage"], gpu["break_even_months"]) == (
        "100",
        "100",
        7.2,
    )


def test_month_shows_the_three_present_commitments(plan: dict[str, Any]) -> None:
    """In hours of units: plan-1 all of 2; plan-2 5 of 6 at 0.03; plan-3 a half of 1 at 1.2."""
    coverage = plan["commitment_coverage"]
    assert coverage["utilization_percentage"] == "58"
    assert coverage["coverage_percentage"] == "24.17"
    assert {
        item["commitment_discount_id"]: (item["used_effective_cost"], item["unused_effective_cost"])
        for item in coverage["commitments"]
    } == {"plan-1": ("86.4", "0"), "plan-2": ("108", "21.6"), "plan-3": ("432", "432")}


def test_month_has_the_same_answers_whatever_the_order_of_its_hours_and_rows(
    month_folder: Path, plan: dict[str, Any]
) -> None:
    other = reserve(path="other.csv")
    assert other == plan


def test_given_rates_go_before_the_discount_and_that_before_the_data(
    month_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(month_folder))
    result = reserve(path="month.csv", discount="0.15", committed_rates={"vm-gpu": 1.9})

    by_sku = {item["sku_id"]: item for item in result["recommendations"]}
    assert by_sku["vm-gpu"]["committed_rate_from"] == "committed_rates"
    assert by_sku["vm-gpu"]["monthly_savings"] == "146"  # 2 * 0.1 * 730
    assert by_sku["vm-large"]["committed_rate_from"] == "discount"
    # level 0.15 of 1..10: 2 units; 72 * (0.1 * (1 + 2*9) - 0.085 * 20) = 14.4
    assert (by_sku["vm-large"]["instances"], by_sku["vm-large"]["saving"]) == (2, "14.4")


def random_usage(chance: random.Random) -> HourlyUsage:
    hours = chance.randint(1, 60)
    quantities = [Decimal(chance.choice([0, 0, 1, 1, 2, 3, 5, 9])) for _ in range(hours)]
    if chance.random() < 0.5:
        quantities = [quantity * Decimal("0.37") for quantity in quantities]
    return HourlyUsage.of(quantities, hours)


def test_best_quantity_is_the_best_of_all_whole_ones() -> None:
    chance = random.Random(7)
    for _ in range(400):
        usage = random_usage(chance)
        rates = Rates(Fraction(chance.randint(1, 30), 10), Fraction(chance.randint(1, 30), 10))
        hourly = [*usage.positive, *[Decimal(0)] * (usage.hours - len(usage.positive))]

        def cost(quantity: int, hourly: list[Decimal] = hourly, rates: Rates = rates) -> Fraction:
            uncovered = sum((max(Decimal(0), used - quantity) for used in hourly), Decimal(0))
            return rates.committed * quantity * len(hourly) + rates.on_demand * Fraction(uncovered)

        best = best_offer(usage, rates)

        assert best.quantity == min(range(12), key=lambda quantity: (cost(quantity), quantity))
        assert best.saving == cost(0) - cost(best.quantity)


def test_utilisation_at_break_even_saves_nothing() -> None:
    usage = HourlyUsage.of([Decimal(1)] * 60, 100)
    offer = Offer(usage, Rates(Fraction(1), Fraction(6, 10)), 1)
    assert offer.utilization == offer.rates.break_even_utilization
    assert offer.saving == 0
    assert offer.break_even_months(12) == 12
    assert best_offer(usage, offer.rates).quantity == 0


def hourly_series(hours: int = 168, *, units: int = 3) -> list[list[Any]]:
    return [[index * 3600, units + (index % 24 >= 12)] for index in range(hours)]


def test_usage_series_is_planned_with_the_rates_given() -> None:
    result = reserve(usage=hourly_series(), on_demand_rate="1", committed_rate="0.4")
    # half of the hours use 4, which pays from 40 % on
    assert result["recommendations"][0]["instances"] == 4
    assert result["monthly_savings"] == "1387"  # 730 * (3.5 - 1.6)
    assert result["total_instances"] is None
    assert "total_instances" in result["insufficient_data"]
    assert reserve(usage=hourly_series(), on_demand_rate=1, discount=0.6)["monthly_savings"] == "1387"


def test_points_within_an_hour_are_averaged_and_hours_without_a_point_left_out() -> None:
    fine = [[index * 900, value] for index, value in enumerate([2, 4, 2, 4] * 200)]
    result = reserve(usage=fine[:400] + fine[408:], on_demand_rate=1, discount="0.5")
    best = result["recommendations"][0]
    assert (best["instances"], best["hours"], best["utilization_percentage"]) == (3, 198, "100")
    assert any("hours without a point: 2 of 200" in note for note in result["notes"])


@pytest.mark.parametrize(
    ("usage", "reason"),
    [
        (hourly_series(1), "a single point"),
        (hourly_series(24), "covers 24 hours"),
        ([[index * 86400, 1] for index in range(60)], "a point every 86400 s"),
    ],
)
def test_usage_that_shows_no_month_has_no_answer(usage: list[Any], reason: str) -> None:
    result = reserve(usage=usage, on_demand_rate=1, discount="0.5")
    assert result["monthly_savings"] is None
    assert reason in result["insufficient_data"]["monthly_savings"]


def test_usage_without_a_committed_rate_has_no_answer() -> None:
    result = reserve(usage=hourly_series(), on_demand_rate=1)
    assert result["monthly_savings"] is None
    assert "neither discount nor committed_rate" in result["insufficient_data"]["monthly_savings"]


def week(**fields: Any) -> Rows:
    return [instance("large-1", "vm-large", hour, **fields) for hour in range(168)]


def test_data_without_a_committed_price_says_so() -> None:
    result = reserve(rows=week())
    assert (result["monthly_savings"], result["recommendations"]) == (None, [])
    assert "no committed rate" in result["insufficient_data"]["skus"]
    assert reserve(rows=week(), discount="0.25")["monthly_savings"] == "18.25"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (week()[:100], "covers 100 hours"),
        ([instance("large-1", "vm-large", 0, **hour_of(day * 24, 24)) for day in range(8)], "see skus"),
        ([charge(**hour_of(0)), charge(**hour_of(400))], "no usage of instances"),
        ([{k: v for k, v in row.items() if k != "SkuId"} for row in week()], "no column SkuId"),
        (week(BilledCost="0"), "see skus"),
    ],
)
def test_data_that_cannot_answer_says_why(rows: Rows, reason: str) -> None:
    result = reserve(rows=rows, discount="0.3")
    assert result["monthly_savings"] is None
    assert result["recommendations"] == []
    assert reason in result["insufficient_data"]["monthly_savings"]


def test_negative_hours_count_as_unused_and_corrections_are_left_out() -> None:
    rows = week()
    rows[0] = {**rows[0], "PricingQuantity": "-1"}
    rows.append(instance("large-1", "vm-large", 1, ChargeClass="Correction", PricingQuantity="5"))
    result = reserve(rows=rows, discount="0.3")
    assert result["notes"] == ["hours of a SKU with negative usage: 1; counted as 0"]
    assert result["recommendations"][0]["uncovered_unit_hours"] == "167"


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"rows": [charge()], "path": "a.csv"},
        {"rows": [charge()], "on_demand_rate": 1},
        {"usage": hourly_series()},
        {"usage": hourly_series(), "on_demand_rate": 1, "discount": "0.1", "committed_rate": "0.9"},
        {"rows": [charge()], "discount": 1},
        {"rows": [charge()], "discount": "NaN"},
        {"rows": [charge()], "discount": 0.1234567890123456789},
        {"rows": [charge()], "discount": True},
        {"usage": [[0, 1], [3600, -1]], "on_demand_rate": 1, "discount": "0.1"},
        {"rows": [charge(BillingCurrency="USD"), charge(BillingCurrency="EUR")]},
    ],
)
def test_bad_parameters_and_data_end_the_task(parameters: dict[str, Any]) -> None:
    with pytest.raises(PermanentError):
        reserve(**parameters)


def test_real_sample_has_too_few_hours_of_any_sku_to_commit_to(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = real_data("focus/focus_sample.csv")
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(sample.parents[1]))
    result = reserve(path="focus/focus_sample.csv", discount="0.5")
    assert result["total_instances"] == 26
    assert (result["monthly_savings"], result["recommendations"]) == ("0", [])
    assert result["skus"]["examined"] == 15
    assert result["skus"]["below_break_even"] + result["skus"]["nothing_uncovered"] == 15
    assert (
        "no EffectiveCost above 0"
        in result["insufficient_data"]["commitment_coverage.utilization_percentage"]
    )
    without = reserve(path="focus/focus_sample.csv")
    assert without["monthly_savings"] is None
    assert len(json.dumps(result, allow_nan=False)) < 64 * 1024


def test_more_hours_of_skus_than_are_held_have_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.commitment.hourly.MAX_SKU_HOURS", 100)
    result = reserve(rows=week(), discount="0.3")
    assert result["monthly_savings"] is None
    assert "choose a shorter period" in result["insufficient_data"]["monthly_savings"]
