"""Instance counts against exact arithmetic over the forecasts of the same result."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.unit.workers.resource.curves import daily_wave, hourly, predict
from workers.scaling.instances import Fleet, Kind, PlanFor

SERIES = hourly(daily_wave(20, noise=2))


def exact_ceil(value: float, numerator: int, denominator: Fraction) -> int:
    return math.ceil(Fraction(repr(value)) * numerator / denominator)


@pytest.mark.parametrize("plan_for", ["forecast", "upper"])
def test_utilisation_gives_the_autoscaler_rule_for_each_step(plan_for: str) -> None:
    result = predict(SERIES, current_instances=7, target_utilization=55, plan_for=plan_for, horizon_steps=48)
    line = result["forecast"]["mean" if plan_for == "forecast" else "upper"]
    counts = [exact_ceil(value, 7, Fraction(55)) for value in line]
    assert_counts(result["instances"], counts)


def test_requests_give_the_count_whose_capacity_holds_them_at_the_target() -> None:
    result = predict(
        SERIES, kind="requests", capacity_per_instance=12.5, target_utilization=80, horizon_steps=48
    )
    assert_counts(result["instances"], [exact_ceil(v, 1, Fraction(10)) for v in result["forecast"]["upper"]])


def assert_counts(instances: dict[str, Any], counts: list[int]) -> None:
    assert instances["counts"] == counts
    assert (instances["peak"], instances["lowest"]) == (max(counts), min(counts))
    assert instances["instance_hours"] == sum(counts)
    assert instances["instance_hours_at_constant_peak"] == max(counts) * len(counts)
    assert instances["changes"] == sum(a != b for a, b in itertools.pairwise(counts))


def test_limits_hold_and_what_they_cost_is_said() -> None:
    result = predict(
        SERIES,
        current_instances=10,
        min_instances=6,
        max_instances=9,
        target_utilization=60,
        horizon_steps=24,
    )
    instances = result["instances"]
    needed = [exact_ceil(value, 10, Fraction(60)) for value in result["forecast"]["upper"]]
    assert instances["counts"] == [min(max(count, 6), 9) for count in needed]
    assert instances["steps_limited_by_max_instances"] == sum(count > 9 for count in needed) > 0
    assert instances["highest_expected_utilization"] == pytest.approx(
        max(
            10 * mean / count
            for mean, count in zip(result["forecast"]["mean"], instances["counts"], strict=True)
        )
    )


def test_hindsight_counts_the_steps_that_would_have_been_above_the_target() -> None:
    test = predict(SERIES, current_instances=5, target_utilization=50, plan_for="forecast")["backtest"]
    planned = [max(1, exact_ceil(value, 5, Fraction(50))) for value in test["forecast"]]
    needed = [max(1, exact_ceil(value, 5, Fraction(50))) for value in test["actual"]]
    assert test["instances"] == {
        "steps": len(needed),
        "steps_above_target": sum(n > p for n, p in zip(needed, planned, strict=True)),
        "mean_planned": pytest.approx(sum(planned) / len(planned)),
        "mean_needed": pytest.approx(sum(needed) / len(needed)),
    }


def test_without_what_a_count_needs_there_is_a_forecast_and_the_reason() -> None:
    result = predict(SERIES)
    assert (result["instances"], result["backtest"]["instances"]) == (None, None)
    assert "no current_instances" in result["insufficient_data"]["instances"]
    assert "no capacity_per_instance" in predict(SERIES, kind="requests")["insufficient_data"]["instances"]


def test_counts_on_a_whole_number_are_not_rounded_up_by_binary_fractions() -> None:
    fleet = Fleet(Kind.UTILIZATION, 100 / 3, 60, PlanFor.UPPER, 1, None)
    values = np.array([40.0, 40.000001, 0.0, 60.0])
    assert fleet.needed(values).tolist() == [2, 3, 1, 3]
