"""Series that are short, holed, constant, impossible or very long: each has its answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator import PermanentError
from tests.support.alone import run_alone
from tests.unit.workers.resource.curves import daily_wave, errors_of, hourly, predict

if TYPE_CHECKING:
    from pathlib import Path

MILLION = 1_000_000
MEMORY_LIMIT_MIB = 300
SECONDS = 60


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([[0, 5]], "the series has a single point"),
        (hourly([5.0] * 29), "the series has 29 steps of 3600 s; 30 or more are needed"),
        (
            [[time, 5] for time in (*range(20), *range(1000, 1020))],
            "only 4% of the steps of 1 s have a point",
        ),
    ],
)
def test_too_little_is_insufficient_data_not_a_forecast(points: Any, reason: str) -> None:
    result = predict(points, current_instances=3)
    assert reason in result["insufficient_data"]["forecast"]
    assert all(result[key] is None for key in ("forecast", "backtest", "model", "instances"))
    assert result["points"] == len(points)


def test_constant_series_has_a_constant_forecast_of_no_width() -> None:
    result = predict(hourly([30.0] * 240), current_instances=4, target_utilization=60)
    assert set(result["forecast"]["mean"] + result["forecast"]["upper"]) == {30.0}
    assert result["backtest"]["better_than_naive"] is False
    assert result["backtest"]["error_ratio"] is None
    assert set(result["instances"]["counts"]) == {2}
    assert "the values are constant: so is the forecast, and its interval has no width" in result["notes"]


def test_gaps_and_repeated_or_unordered_times_are_said_and_survived() -> None:
    wave = hourly(daily_wave(30, noise=1))
    whole = predict(wave, horizon_steps=24)
    odd = [point for number, point in enumerate(wave) if number % 97 or not number]
    odd = [*odd[300:], *odd[:300], odd[10]]
    result = predict(odd, horizon_steps=24)
    assert result["steps"]["without_a_point"] == len(wave) - len(odd) + 1
    assert len(result["notes"]) == 3
    assert result["forecast"]["mean"] == pytest.approx(whole["forecast"]["mean"], abs=3)
    assert result["backtest"]["own"]["mean_absolute_error"] == pytest.approx(
        errors_of(result["backtest"], "forecast")[0]
    )


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ([10.0, -1.0], "utilization", "the value -1 at 1970-01-01T01:00:00Z: utilization is 0 to 100"),
        ([10.0, 101.0], "utilization", "the value 101 at"),
        ([10.0, -1.0], "requests", "requests is 0 or more"),
    ],
)
def test_values_that_cannot_be_are_refused_with_their_time(
    values: list[float], kind: str, message: str
) -> None:
    with pytest.raises(PermanentError, match=message):
        predict(hourly(values), kind=kind)


def test_longer_steps_bring_means() -> None:
    result = predict(hourly(daily_wave(40, noise=1)), step_seconds=6 * 3600, horizon_steps=4)
    assert result["steps"] == {"used": 160, "without_a_point": 0, "step_seconds": 21_600}
    wave = daily_wave(1, noise=0)
    means = [sum(wave[first : first + 6]) / 6 for first in range(0, 24, 6)]
    assert result["forecast"]["mean"] == pytest.approx(means, abs=1)


@pytest.mark.parametrize(
    "parameters",
    [
        {"series": 5},
        {"target_utilization": 0},
        {"target_utilization": 101},
        {"horizon_steps": 0},
        {"horizon_steps": 2001},
        {"interval_level": 1},
        {"kind": "memory"},
        {"current_instances": 0},
        {"current_instances": 1.5},
        {"capacity_per_instance": 0},
        {"min_instances": 3, "max_instances": 2},
        {"unknown": 1},
    ],
)
def test_parameters_that_do_not_fit_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match="do not fit the schema"):
        predict(**{"series": [[0, 1]], **parameters})


def test_a_million_points_are_forecast_in_bounded_time_memory_and_size(tmp_path: Path) -> None:
    wave = [f"{value:.4f}" for value in daily_wave(60, noise=4)]
    with (tmp_path / "long.csv").open("w", encoding="utf-8") as file:
        file.write("timestamp,value\n")
        file.writelines(f"{1_704_067_200 + 60 * at},{wave[at // 60 % 1440]}\n" for at in range(MILLION))
    asked = {"series": {"path": "long.csv"}, "current_instances": 5, "horizon_steps": 2000}

    run = run_alone("workers.resource", "predict_scaling", asked, data=tmp_path)

    found = run.result
    assert found["points"] == MILLION
    assert found["steps"]["used"] == 20_000
    assert "the latest 20000 of 1000000 steps are used" in found["notes"][0]
    assert len(json.dumps(found)) < 512 * 1024
    assert run.cpu_seconds < SECONDS
    assert run.peak_mib < MEMORY_LIMIT_MIB
