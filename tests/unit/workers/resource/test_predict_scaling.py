"""Forecast, back-test and interval on series whose best forecast is known, and on real ones."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest

from orchestrator import PermanentError
from tests.unit.workers.billing import real_data
from tests.unit.workers.resource.curves import HOUR, daily_wave, errors_of, hourly, predict

REAL = {
    "ec2_cpu_utilization_24ae8d": {"current_instances": 4},
    "ec2_cpu_utilization_53ea38": {"current_instances": 4},
    "ec2_cpu_utilization_825cc2": {"current_instances": 4},
    "ec2_cpu_utilization_ac20cd": {"current_instances": 4},
    "elb_request_count_8c0756": {"kind": "requests", "capacity_per_instance": 50},
}
DAY_STEPS = 288


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(name: str, **parameters: Any) -> dict[str, Any]:
        file = real_data(f"cloudwatch/{name}.csv")
        monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(file.parent))
        return predict({"path": file.name}, **REAL[name], **parameters)

    return run


def assert_errors_are_recomputable(test: dict[str, Any]) -> None:
    for name, forecasts in (("own", "forecast"), ("naive_seasonal", "naive")):
        absolute, square = errors_of(test, forecasts)
        assert test[name]["mean_absolute_error"] == pytest.approx(absolute, rel=1e-12)
        assert test[name]["root_mean_square_error"] == pytest.approx(square, rel=1e-12)
    own, naive = (test[name]["mean_absolute_error"] for name in ("own", "naive_seasonal"))
    assert test["better_than_naive"] == (own < naive)
    inside = [
        low <= actual <= high
        for low, actual, high in zip(test["lower"], test["actual"], test["upper"], strict=True)
        if actual is not None
    ]
    assert test["interval"]["steps_inside"] == sum(inside)
    assert test["interval"]["share_inside"] == pytest.approx(sum(inside) / len(inside))


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("horizon", [12, DAY_STEPS])
def test_real_back_test_is_recomputable_and_holds_out_the_last_tenth(
    real: Any, name: str, horizon: int
) -> None:
    result = real(name, horizon_steps=horizon)
    test = result["backtest"]

    assert_errors_are_recomputable(test)
    lines = real_data(f"cloudwatch/{name}.csv").read_text(encoding="utf-8").splitlines()[1:]
    tail = [value for value in test["actual"] if value is not None]
    assert tail == pytest.approx([float(line.split(",")[1]) for line in lines[-len(tail) :]], rel=1e-8)
    assert test["steps"] == result["steps"]["used"] // 10
    assert test["naive_season_seconds"] == 86_400
    assert len(result["forecast"]["mean"]) == horizon
    assert len(json.dumps(result, allow_nan=False)) < 64 * 1024


@pytest.mark.parametrize(
    "name", ["ec2_cpu_utilization_24ae8d", "ec2_cpu_utilization_53ea38", "elb_request_count_8c0756"]
)
def test_real_series_without_a_break_are_forecast_better_than_naively(real: Any, name: str) -> None:
    for horizon in (12, DAY_STEPS):
        assert real(name, horizon_steps=horizon)["backtest"]["error_ratio"] < 0.9


def test_real_break_in_the_last_tenth_is_admitted(real: Any) -> None:
    result = real("ec2_cpu_utilization_ac20cd", horizon_steps=DAY_STEPS)
    assert result["backtest"]["better_than_naive"] is False
    assert any("naive forecast was as good or better" in note for note in result["notes"])
    assert any("99 % or more" in note for note in result["notes"])


def test_real_values_after_an_origin_do_not_change_the_forecasts_from_it(real: Any) -> None:
    name = "ec2_cpu_utilization_53ea38"
    lines = real_data(f"cloudwatch/{name}.csv").read_text(encoding="utf-8").splitlines()[1:]
    points: list[list[Any]] = [[line.split(",")[0], float(line.split(",")[1])] for line in lines]
    changed = [*points[:-103], *([time, 90.0] for time, _ in points[-103:])]
    before, after = (predict(series, horizon_steps=100)["backtest"] for series in (points, changed))
    assert before["steps"] == 403
    for key in ("forecast", "lower", "upper", "naive"):
        assert before[key][:400] == after[key][:400]
    assert before["actual"] != after["actual"]


def test_errors_on_wave_and_noise_are_those_of_the_closed_form() -> None:
    noise = 3.0
    test = predict(hourly(daily_wave(200, noise=noise)), horizon_steps=24)["backtest"]

    assert test["naive_season_seconds"] == 24 * HOUR
    assert test["own"]["mean_absolute_error"] == pytest.approx(noise * math.sqrt(2 / math.pi), rel=0.08)
    assert test["naive_seasonal"]["mean_absolute_error"] == pytest.approx(
        2 * noise / math.sqrt(math.pi), rel=0.08
    )
    assert test["own"]["root_mean_square_error"] == pytest.approx(noise, rel=0.08)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_interval_holds_the_share_it_promises_on_wave_and_noise(level: float) -> None:
    test = predict(hourly(daily_wave(250, noise=3, seed=2)), interval_level=level)["backtest"]
    assert test["interval"]["share_inside"] == pytest.approx(level, abs=0.06)


def test_wave_without_noise_is_forecast_exactly_and_the_season_found() -> None:
    wave = daily_wave(12, noise=0)
    result = predict(hourly(wave[:-24]), horizon_steps=24)
    assert result["model"]["season_seconds"] == 86_400
    assert result["forecast"]["mean"] == pytest.approx(wave[-24:], rel=1e-6)
    assert result["forecast"]["first_time"] == "1970-01-12T00:00:00Z"
    assert result["backtest"]["own"]["mean_absolute_error"] < 1e-6


def test_weekly_season_is_found_where_it_shows() -> None:
    chance = random.Random(4)
    values = [50 + (20 if hour // 24 % 7 < 5 else -20) + chance.gauss(0, 2) for hour in range(24 * 7 * 8)]
    assert predict(hourly(values), horizon_steps=168)["model"]["season_seconds"] == 7 * 86_400


def test_given_season_is_taken_and_one_that_fits_no_step_refused() -> None:
    values = [[number * 60, 10 + number % 5] for number in range(200)]
    result = predict(values, season_seconds=300, horizon_steps=7)
    assert result["model"]["season_seconds"] == 300
    assert result["forecast"]["mean"] == pytest.approx([10, 11, 12, 13, 14, 10, 11], rel=1e-6)
    with pytest.raises(PermanentError, match="no whole number of steps"):
        predict(values, season_seconds=90)


def test_no_season_forecasts_the_level_and_says_why_no_season_was_tried() -> None:
    chance = random.Random(6)
    result = predict(hourly([chance.gauss(40, 1) for _ in range(60)]), horizon_steps=5)
    assert result["model"]["season_seconds"] is None
    assert result["forecast"]["mean"] == pytest.approx([40] * 5, abs=1)
    assert "shows over 3 of it or more" in result["insufficient_data"]["season_of_a_day"]
    assert result["backtest"]["naive_season_seconds"] == HOUR
    assert_errors_are_recomputable(result["backtest"])
