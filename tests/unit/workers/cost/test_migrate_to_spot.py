"""The spot plan: the generated month in closed form, interruptions by simulation, reasons, real rows."""

from __future__ import annotations

import csv
import json
import random
import statistics
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator import PermanentError
from tests.unit.workers.billing import charge, real_data
from tests.unit.workers.cost.month import hour_of, instance
from workers.cost import agent
from workers.spot.interruptions import Interruptions, break_even_monthly_rate

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.workers.billing import Rows

DEV = {"environment": ["dev"]}
MARKET = {"discount": "0.7", "interruption_rate": 7.3, "checkpoint_hours": 0, "restart_hours": 0.5}
"""An interruption every 100 hours, each of half an hour: an hour of work takes 1.005 hours."""


def plan(**parameters: Any) -> dict[str, Any]:
    return agent.run("migrate_to_spot", {**MARKET, "interruptible_tags": DEV, **parameters})


@pytest.fixture
def folder(month_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(month_folder))
    return month_folder


def test_month_saving_is_that_of_the_closed_form(folder: Path) -> None:
    """Five vm-large of 72 * (1+3+5+7+9) hours in all, and a vm-gpu of 720: cost 180 + 1440."""
    result = plan(path="month.csv", cost_per_interruption="0.1")

    cost, hours = Fraction(1620), 1800 + 720
    saving = cost * (1 - Fraction(3, 10) * Fraction(1005, 1000)) - Fraction(hours, 100) / 10
    recommended = result["recommendations"][0]
    assert result["total_instances"] == 20
    assert (recommended["type"], recommended["instances"]) == ("migrate_to_spot", 6)
    assert float(recommended["saving"]) == pytest.approx(float(saving), abs=1e-8)
    assert float(recommended["monthly_savings"]) == pytest.approx(float(saving * 730 / 720), abs=1e-8)
    assert result["monthly_savings"] == recommended["monthly_savings"]
    assert recommended["saving_before_interruptions"] == "1134"
    assert float(recommended["interruptions_cost"]) == pytest.approx(486 * 0.005 + 2.52, abs=1e-8)
    assert recommended["expected_interruptions"] == pytest.approx(25.2)


def test_month_says_of_every_instance_why(folder: Path) -> None:
    result = plan(path="month.csv", protected_ids=["large-3"], interruptible_ids=["large-2", "large-3"])

    assert [item["id"] for item in result["resources"]] == [
        "gpu-1",
        "large-9",
        "large-7",
        "large-5",
        "large-2",
        "large-1",
    ]
    assert result["resources"][-1]["because"] == [
        "on demand for all of its 72 hours",
        "interruptible_tags has environment=dev",
    ]
    assert result["resources"][-2]["because"][1] == "interruptible_ids has it"
    assert {
        item["reason"]: (item["instances"], item["on_demand_cost"]) for item in result["not_qualified"]
    } == {
        "protected": (1, "21.6"),
        "covered_by_commitment": (8, "0"),
        "tolerance_unknown": (5, "1641.6"),
    }
    assert sum(item["instances"] for item in result["not_qualified"]) + 6 == 20


def test_month_has_the_same_answers_whatever_the_order_of_its_rows(folder: Path) -> None:
    def essence(result: dict[str, Any]) -> str:
        for item in result["resources"]:
            item.pop("first_row_id")
        return json.dumps(result)

    assert essence(plan(path="month.csv")) == essence(plan(path="other.csv"))


def simulated(given: Interruptions, seed: int, pieces: int) -> tuple[list[float], list[int]]:
    """Return running hours and interruptions of pieces of work, drawn one by one."""
    chance = random.Random(seed)
    rate = given.monthly_rate / 730
    hours, counts = [], []
    for _ in range(pieces):
        spent, count = 0.0, 0
        while (until := chance.expovariate(rate)) < given.checkpoint_hours:
            spent += until + given.restart_hours
            count += 1
        hours.append(spent + given.checkpoint_hours)
        counts.append(count)
    return hours, counts


@pytest.mark.parametrize(
    "given", [Interruptions(73, 5, 0.5), Interruptions(7.3, 24, 2), Interruptions(365, 1, 0)]
)
def test_running_time_under_interruptions_is_the_mean_of_simulated_ones(given: Interruptions) -> None:
    pieces = 20_000
    hours, counts = simulated(given, 11, pieces)

    for drawn, expected in (
        (hours, given.running_hours * given.checkpoint_hours),
        (counts, given.per_work_hour * given.checkpoint_hours),
    ):
        error = statistics.stdev(drawn) / pieces**0.5
        assert abs(statistics.fmean(drawn) - expected) < 4 * error


def test_short_checkpoints_approach_the_form_without_lost_work() -> None:
    short, none = Interruptions(7.3, 1e-6, 0.5), Interruptions(7.3, 0, 0.5)
    assert short.running_hours == pytest.approx(none.running_hours)
    assert none.running_hours == pytest.approx(1.005)
    assert Interruptions(0, 24, 2).running_hours == 1


@pytest.mark.parametrize("checkpoint", [0, 1, 24])
@pytest.mark.parametrize("fixed", [0.0, 3.0])
def test_at_the_break_even_rate_spot_costs_what_on_demand_costs(checkpoint: float, fixed: float) -> None:
    rate = break_even_monthly_rate(Interruptions(1, checkpoint, 0.5), discount=0.6, cost_in_hours=fixed)
    assert rate is not None
    there = Interruptions(rate, checkpoint, 0.5)
    assert 0.4 * there.running_hours + there.per_work_hour * fixed == pytest.approx(1)


def test_interruptions_that_cost_nothing_never_break_even() -> None:
    assert break_even_monthly_rate(Interruptions(1, 0, 0), discount=0.5, cost_in_hours=0) is None


def week(name: str = "large-1", **fields: Any) -> Rows:
    return [instance(name, "vm-large", hour, **fields) for hour in range(168)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"PricingCategory": "Dynamic"}, "on_spot_already"),
        ({"PricingCategory": "Other"}, "priced_in_another_way"),
        ({"BilledCost": "0"}, "no_on_demand_cost"),
        ({"Tags": "NULL"}, "tolerance_unknown"),
    ],
)
def test_what_does_not_qualify_says_why(fields: dict[str, Any], reason: str) -> None:
    result = plan(rows=week(**fields))
    assert [item["reason"] for item in result["not_qualified"]] == [reason]
    assert (result["monthly_savings"], result["recommendations"]) == ("0", [])


def test_interruptions_that_eat_the_discount_are_told() -> None:
    result = plan(rows=week(), cost_per_interruption=100)
    assert [item["reason"] for item in result["not_qualified"]] == ["costs_more_with_interruptions"]


def test_without_a_word_on_tolerance_there_is_no_plan() -> None:
    result = agent.run("migrate_to_spot", {**MARKET, "rows": week()})
    assert result["monthly_savings"] is None
    assert "nothing says which instances bear interruptions" in result["insufficient_data"]["monthly_savings"]
    assert result["not_qualified"][0]["reason"] == "tolerance_unknown"


def test_short_data_gives_a_saving_but_no_month() -> None:
    result = plan(rows=week()[:24])
    assert result["monthly_savings"] is None
    assert result["recommendations"][0]["saving"] == "1.6764"  # 2.4 * (1 - 0.3 * 1.005)
    assert "covers 24 hours" in result["insufficient_data"]["monthly_savings"]


def test_rows_that_are_no_instance_are_not_planned_for() -> None:
    gateway = charge(**hour_of(0), ServiceCategory="Compute", ResourceId="nat-1", ResourceType="NULL")
    nameless = charge(**hour_of(0), ServiceCategory="Compute", ResourceType="Instance")
    result = plan(rows=[*week(), gateway, nameless])
    assert result["total_instances"] == 1
    assert "1 rows of instances have no ResourceId" in result["insufficient_data"]["resources"]
    assert plan(rows=[*week(), gateway], resource_types=None)["total_instances"] == 2


def test_tags_may_be_an_object_and_must_be_one() -> None:
    assert plan(rows=week(Tags={"environment": "dev", "n": 1}))["recommendations"][0]["instances"] == 1
    for bad in ("environment=dev", "[1]", "[" * 100_000):
        with pytest.raises(PermanentError, match="row 1, column Tags"):
            plan(rows=week(Tags=bad))


def test_missing_columns_are_named() -> None:
    rows = [{key: value for key, value in row.items() if key not in ("ResourceId", "Tags")} for row in week()]
    result = plan(rows=rows)
    assert result["total_instances"] is None
    assert "ResourceId" in result["insufficient_data"]["monthly_savings"]
    assert "interruptible_tags" in result["insufficient_data"]


@pytest.mark.parametrize(
    "changed",
    [
        {"discount": "1"},
        {"interruption_rate": -1},
        {"interruption_rate": 1e9},
        {"checkpoint_hours": None},
        {"discount": None},
        {"restart_hours": 1e6},
        {"interruptible_tags": {"environment": "dev"}},
    ],
)
def test_bad_parameters_end_the_task(changed: dict[str, Any]) -> None:
    with pytest.raises(PermanentError):
        plan(rows=week(), **changed)


def test_real_sample_plans_its_development_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a plain reading of the same file."""
    sample = real_data("focus/focus_sample.csv")
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(sample.parents[1]))
    result = plan(path="focus/focus_sample.csv", restart_hours=0)

    with sample.open(newline="", encoding="utf-8") as file:
        cost = {
            row["ResourceId"]: Fraction(row["BilledCost"])
            for row in csv.DictReader(file)
            if row["ResourceType"] == "instance"
            and row["PricingUnit"] == "Hours"
            and row["PricingCategory"] == "Standard"
            and '"environment": "dev"' in row["Tags"]
        }
    assert {item["id"] for item in result["resources"]} == {
        name for name, billed in cost.items() if billed > 0
    }
    saving = float(result["recommendations"][0]["saving"])
    assert saving == pytest.approx(float(sum(cost.values())) * 0.7, abs=1e-9)
    assert {item["reason"] for item in result["not_qualified"]} >= {"covered_by_commitment"}
