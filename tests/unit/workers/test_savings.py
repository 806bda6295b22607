"""Commitment coverage and the recommendations: each from named rows, by its stated formula."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.workers.billing import analyze_rows, charge, on_day
from workers.focus.recommendation import MAX_RECOMMENDATIONS, MAX_ROW_IDS

if TYPE_CHECKING:
    from tests.unit.workers.billing import Rows

USED = {
    "PricingCategory": "Committed",
    "CommitmentDiscountId": "plan-1",
    "CommitmentDiscountType": "Savings Plan",
    "CommitmentDiscountStatus": "Used",
    "BilledCost": "0",
}
UNUSED = {**USED, "CommitmentDiscountStatus": "Unused", "ListCost": "0", "ConsumedQuantity": "NULL"}


def steady_month(**on_demand: Any) -> Rows:
    """On demand 10 h a day at 1 $ (12 h on the last day); committed 5 h a day at 0.6 $; 7 days."""
    rows = [
        on_day(
            day,
            PricingQuantity="12" if day == 7 else "10",
            BilledCost="12" if day == 7 else "10",
            **on_demand,
        )
        for day in range(1, 8)
    ]
    return rows + [on_day(day, **USED, PricingQuantity="5", EffectiveCost="3") for day in range(1, 8)]


def only(result: dict[str, Any], kind: str) -> Rows:
    return [item for item in result["recommendations"] if item["type"] == kind]


def test_coverage_and_utilization_follow_their_definitions() -> None:
    rows = [
        charge(ListCost="30"),
        charge(**USED, ListCost="10", EffectiveCost="6"),
        charge(**UNUSED, EffectiveCost="2"),
        charge(PricingCategory="Dynamic", ListCost="1000"),
        charge(ChargeCategory="Tax", ListCost="1000"),
        charge(ChargeCategory="Purchase", CommitmentDiscountId="plan-1", ListCost="1000"),
    ]

    coverage = analyze_rows(rows)["commitment_coverage"]

    assert coverage["coverage_percentage"] == "25"
    assert coverage["utilization_percentage"] == "75"
    assert coverage["commitments"] == [
        {
            "commitment_discount_id": "plan-1",
            "commitment_discount_type": "Savings Plan",
            "used_effective_cost": "6",
            "unused_effective_cost": "2",
            "rows": 2,
        }
    ]


def test_coverage_without_the_columns_or_usage_says_why() -> None:
    row = {key: value for key, value in charge().items() if key != "CommitmentDiscountStatus"}
    result = analyze_rows([row])
    assert result["commitment_coverage"] is None
    assert "no column CommitmentDiscountStatus" in result["insufficient_data"]["commitment_coverage"]

    result = analyze_rows([charge(ChargeCategory="Tax")])
    assert result["commitment_coverage"]["coverage_percentage"] is None
    assert "commitment_coverage.coverage_percentage" in result["insufficient_data"]
    assert "no row" in result["insufficient_data"]["commitment_coverage.utilization_percentage"]


def test_unused_commitment_saves_what_its_unused_rows_cost() -> None:
    rows = [
        charge(BilledCost="90"),
        *[charge(**UNUSED, EffectiveCost="0.10") for _ in range(MAX_ROW_IDS + 5)],
    ]

    result = analyze_rows(rows)

    (found,) = only(result, "unused_commitment")
    assert found["saving"] == "2.5"
    assert found["subject"] == {
        "commitment_discount_id": "plan-1",
        "commitment_discount_type": "Savings Plan",
    }
    assert found["row_ids"] == list(range(2, 2 + MAX_ROW_IDS))
    assert found["row_ids_left_off"] == 5
    assert result["potential_savings"] == "2.5"
    assert result["savings_percentage"] == "2.78"


def test_unused_commitment_without_a_price_is_insufficient_data() -> None:
    result = analyze_rows([charge(**UNUSED, EffectiveCost="NULL")])
    assert not only(result, "unused_commitment")
    assert "1 rows have no EffectiveCost" in result["insufficient_data"]["recommendations.unused_commitment"]


def test_idle_is_a_word_of_the_providers_description() -> None:
    rows = [
        charge(ChargeDescription="$0.005 per Idle public IPv4 address per hour", BilledCost="0.005"),
        charge(ChargeDescription="bridled sidles", BilledCost="7"),
        charge(ChargeDescription="idle address, credited", BilledCost="-0.001"),
        charge(ChargeDescription="idle address of last month", ChargeClass="Correction", BilledCost="3"),
    ]
    (found,) = only(analyze_rows(rows), "charge_described_as_idle")
    assert (found["saving"], found["row_ids"]) == ("0.004", [1, 3])


def test_usage_that_consumed_nothing_and_was_billed_is_recommended_on_once() -> None:
    rows = [
        charge(ConsumedQuantity="0", BilledCost="2"),
        charge(ConsumedQuantity="0.000", BilledCost="1", ChargeDescription="idle"),
        charge(ConsumedQuantity="NULL", BilledCost="50"),
        charge(ConsumedQuantity="0", BilledCost="-8", SkuId="credited"),
    ]
    result = analyze_rows(rows)
    (found,) = only(result, "billed_without_consumption")
    assert (found["saving"], found["row_ids"]) == ("2", [1])
    assert result["potential_savings"] == "3"


def test_steady_usage_saves_the_difference_of_the_two_rates_in_the_data() -> None:
    result = analyze_rows(steady_month())

    (found,) = only(result, "commit_steady_usage")
    assert Fraction(found["saving"]) == (Fraction(72, 72) - Fraction(21, 35)) * 10 * 7
    assert found["inputs"]["steady_quantity_per_day"] == "10"
    assert found["row_ids"] == list(range(1, 8))
    assert found["inputs"]["committed_row_ids"] == list(range(8, 15))


def test_saving_that_no_decimal_holds_is_rounded_down() -> None:
    rows = [*steady_month(), on_day(7, **USED, PricingQuantity="1", EffectiveCost="0")]
    exact = (1 - Fraction(21, 36)) * 70
    saving = Fraction(only(analyze_rows(rows), "commit_steady_usage")[0]["saving"])
    assert exact - Fraction(1, 10**10) < saving < exact


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([row for row in steady_month() if "-07 " not in row["ChargePeriodStart"]], "the period has 6 days"),
        (
            [row for row in steady_month() if row["CommitmentDiscountStatus"] != "Used"],
            "no usage of a SKU is charged",
        ),
        ([{**row, "EffectiveCost": "0"} for row in steady_month()], "no EffectiveCost above 0"),
        ([{key: row[key] for key in row if key != "SkuId"} for row in steady_month()], "no column SkuId"),
    ],
)
def test_steady_usage_without_a_rate_or_enough_days_is_insufficient_data(rows: Rows, reason: str) -> None:
    result = analyze_rows(rows)
    assert not only(result, "commit_steady_usage")
    assert reason in result["insufficient_data"]["recommendations.commit_steady_usage"]


@pytest.mark.parametrize(
    "rows",
    [
        [
            row
            for row in steady_month()
            if row["PricingQuantity"] != "10" or "-03 " not in row["ChargePeriodStart"]
        ],
        steady_month(RegionId="us"),
        steady_month(PricingUnit="Days"),
        steady_month(PricingCategory="Dynamic"),
        [{**row, "EffectiveCost": "5"} for row in steady_month()],
    ],
    ids=["a day without usage", "another region", "another unit", "dynamic price", "commitment not cheaper"],
)
def test_usage_that_is_not_steady_comparable_or_dearer_is_not_recommended_on(rows: Rows) -> None:
    assert not only(analyze_rows(rows), "commit_steady_usage")


def test_further_recommendations_are_counted_and_summed() -> None:
    rows = [
        charge(ChargeDescription="idle", SkuId=f"sku-{number}", BilledCost=str(number + 1))
        for number in range(MAX_RECOMMENDATIONS + 3)
    ]
    result = analyze_rows(rows)
    assert [item["saving"] for item in result["recommendations"]] == [str(n) for n in range(23, 3, -1)]
    assert result["recommendations_left_off"] == {"count": 3, "saving": "6"}
    assert Decimal(result["potential_savings"]) == sum(range(1, 24))


def test_nothing_to_save_is_an_answer_of_zero() -> None:
    result = analyze_rows([charge()])
    assert (result["potential_savings"], result["savings_percentage"], result["recommendations"]) == (
        "0",
        "0",
        [],
    )


def test_savings_percentage_of_no_spend_is_insufficient_data() -> None:
    result = analyze_rows([charge(BilledCost="-5")])
    assert result["savings_percentage"] is None
    assert "total_spend is -5" in result["insufficient_data"]["savings_percentage"]
