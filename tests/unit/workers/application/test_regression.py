"""`detect_regression` against enumeration and plain sums, on real series, and on every odd input."""

from __future__ import annotations

import csv
import itertools
import json
import statistics
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from orchestrator import PermanentError
from tests.unit.workers.application.noise import as_series, autoregressive, detect, normal
from tests.unit.workers.billing import PROJECT, real_data
from workers.application import agent
from workers.regression.change import pettitt
from workers.regression.dependence import measure
from workers.regression.effect import compare
from workers.regression.ranking import Worse, midranks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.workers.application.noise import Floats


def sample(seed: int, points: int, digits: int = 6) -> list[float]:
    return [round(value, digits) for value in normal(np.random.default_rng(seed), points).tolist()]


@pytest.mark.parametrize(("worse", "sides"), [("either", 2), ("higher", 1), ("lower", 1)])
def test_p_value_of_small_samples_is_the_share_of_orders_as_extreme(worse: str, sides: int) -> None:
    baseline, candidate = sample(1, 5), [value + 0.8 for value in sample(2, 4)]
    values = baseline + candidate

    def u_of(places: tuple[int, ...]) -> int:
        rest = [values[at] for at in range(9) if at not in places]
        return sum(values[at] > other for at in places for other in rest)

    observed = u_of((5, 6, 7, 8))
    orders = [u_of(places) for places in itertools.combinations(range(9), 4)]
    tails = {
        "higher": sum(u >= observed for u in orders) / len(orders),
        "lower": sum(u <= observed for u in orders) / len(orders),
    }
    expected = tails[worse] if sides == 1 else min(1.0, 2 * min(tails.values()))
    found = detect(baseline=baseline, candidate=candidate, worse=worse, independent=True)
    assert found["test"]["statistic"] == observed
    assert found["p_value"] == pytest.approx(expected)


@pytest.mark.parametrize("digits", [0, 1, 6])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 4), (7, 6), (30, 41)])
def test_effect_is_that_of_all_pairs(n: int, m: int, digits: int) -> None:
    baseline, candidate = sample(n, n, digits), sample(100 + m, m, digits)
    differences = [after - before for before in baseline for after in candidate]
    effect = compare(np.array(baseline), np.array(candidate))

    wins = sum(d > 0 for d in differences) + sum(d == 0 for d in differences) / 2
    assert effect.superiority == pytest.approx(wins / (n * m))
    assert effect.shift == pytest.approx(statistics.median(differences), abs=1e-12)


def test_change_point_statistic_is_pettitts_sum_of_signs() -> None:
    """Pettitt's K is max over k of |sum of sign(x_i - x_j), i <= k < j|: twice the CUSUM of ranks."""
    values = np.array(sample(5, 50, 1)) + 0.7 * (np.arange(50) >= 30)
    signs = np.sign(values[:, None] - values[None, :])
    sums = [abs(signs[:k, k:].sum()) for k in range(1, 50)]
    found = pettitt(values, Worse.EITHER).test

    assert found.split == 1 + int(np.argmax(sums))
    expected = max(sums) / 2 / (50 * found.dependence.inflation * midranks(values).var()) ** 0.5
    assert found.statistic == pytest.approx(expected)


def test_bridge_p_value_is_kolmogorovs_series() -> None:
    values = np.array(sample(6, 60)) + 0.5 * (np.arange(60) >= 30)
    found = pettitt(values, Worse.EITHER).test
    terms = [(-1) ** (j - 1) * np.exp(-2 * j**2 * found.statistic**2) for j in range(1, 50)]
    assert found.p_value == pytest.approx(2 * sum(terms))
    rising = pettitt(values, Worse.HIGHER).test
    assert rising.p_value == pytest.approx(np.exp(-2 * rising.statistic**2))


@pytest.mark.parametrize(("weight", "truth"), [(0.0, 1.0), (0.5, 3.0), (0.9, 19.0)])
def test_inflation_of_a_long_autoregression_is_near_its_closed_form(weight: float, truth: float) -> None:
    """(1 + r)/(1 - r); the estimate is the largest of several, so it may lie above, but hardly below."""
    values = autoregressive(weight)(np.random.default_rng(3), 100_000)
    assert truth * 0.97 <= measure(values - values.mean()).inflation <= truth * 1.5


def test_step_is_found_where_it_is_with_its_size_and_time() -> None:
    values = 100 + normal(np.random.default_rng(8), 120)
    values[70:] += 5
    found = detect(series=as_series(values), worse="higher", level=0.001)

    assert (found["verdict"], found["direction"]) == ("yes", "higher")
    assert found["change_point"] == {"points_before": 70, "points_after": 50, "time": "2024-01-01T05:50:00Z"}
    assert found["effect"]["hodges_lehmann_shift"] == pytest.approx(5, abs=0.6)
    assert found["effect"]["size"] == "large"
    assert detect(series=as_series(values), worse="lower")["verdict"] == "no"
    assert detect(series=as_series(values), minimum_shift=10)["verdict"] == "no"


def test_large_step_is_found_in_spite_of_others_before_it() -> None:
    values = normal(np.random.default_rng(9), 600)
    values[100:160] -= 40
    values[450:] += 60
    found = detect(series=values.tolist())
    assert found["verdict"] == "yes"
    assert found["change_point"]["points_before"] == 450
    assert found["changes_within_sides"] == pytest.approx([100, 160], abs=2)


def test_known_time_of_change_cuts_the_series_into_two_samples() -> None:
    values = normal(np.random.default_rng(10), 80)
    values[50:] += 2
    series = as_series(values)
    found = detect(series=series, change_at="2024-01-01T04:10:00Z")
    pair = detect(baseline=values[:50].tolist(), candidate=values[50:].tolist())
    assert found["p_value"] == pair["p_value"]
    assert found["effect"] == pair["effect"]
    assert found["change_point"] == {"points_before": 50, "points_after": 30, "time": "2024-01-01T04:10:00Z"}
    assert detect(series=series, change_at=series[50][0])["p_value"] == pair["p_value"]


def read_real(name: str) -> Floats:
    with real_data(f"cloudwatch/{name}").open(newline="") as file:
        return np.array([float(row["value"]) for row in csv.DictReader(file)])


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("ec2_cpu_utilization_ac20cd.csv", "yes"),
        ("ec2_cpu_utilization_825cc2.csv", "yes"),
        ("ec2_cpu_utilization_24ae8d.csv", "no"),
        ("elb_request_count_8c0756.csv", "no"),
    ],
)
def test_real_series(monkeypatch: pytest.MonkeyPatch, name: str, verdict: str) -> None:
    """One climbs from 34 to 99 percent and stays, one falls from 94 to 88; two only wander and cycle."""
    path = real_data(f"cloudwatch/{name}")
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(path.parent))
    found = detect(series={"path": name})
    assert found["verdict"] == verdict
    values = read_real(name)
    if not any("repeat" in note for note in found["notes"]):
        split = found["change_point"]["points_before"]
        assert found["baseline"]["median"] == pytest.approx(float(np.median(values[:split])))
        assert found["candidate"]["median"] == pytest.approx(float(np.median(values[split:])))
        ranks = midranks(values)
        sums = np.abs([ranks[:k].sum() - k * ranks.mean() for k in range(1, len(values))])
        assert split == 1 + int(np.argmax(sums))


def test_constant_values_are_no_regression() -> None:
    found = detect(series=[5.0] * 50)
    assert (found["verdict"], found["p_value"], found["change_point"]) == ("no", 1.0, None)
    pair = detect(baseline=[5.0] * 20, candidate=[5.0] * 20)
    assert (pair["verdict"], pair["p_value"], pair["direction"]) == ("no", 1.0, "same")
    assert "same" in pair["insufficient_data"]["minimum_detectable_effect.shift"]


def test_one_constant_after_another_is_a_regression() -> None:
    assert detect(baseline=[5.0] * 20, candidate=[6.0] * 20)["verdict"] == "yes"
    assert detect(series=[5.0] * 20 + [6.0] * 20)["change_point"]["points_before"] == 20


@pytest.mark.parametrize(
    "parameters",
    [
        {"series": [[0, 1.0]]},
        {"series": sample(1, 19)},
        {"baseline": [1.0], "candidate": [2.0]},
        {"baseline": [1.0, 2.0, 3.0], "candidate": [4.0, 5.0, 6.0]},
    ],
)
def test_too_few_values_are_called_so(parameters: dict[str, Any]) -> None:
    """Three against three: the likeliest of 20 orders has p 0.1 on both sides, above 0.05."""
    found = detect(**parameters)
    assert found["verdict"] == "insufficient_data"
    json.dumps(found, allow_nan=False)


def test_what_could_not_be_seen_at_all_is_said() -> None:
    found = detect(series=np.cumsum(normal(np.random.default_rng(4), 40)).tolist())
    assert found["verdict"] == "no"
    assert found["minimum_detectable_effect"] is None
    assert "few independent values" in found["insufficient_data"]["minimum_detectable_effect"]


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({}, "either series, or both"),
        ({"baseline": [1.0]}, "either series, or both"),
        ({"series": [1.0], "baseline": [1.0], "candidate": [1.0]}, "either series, or both"),
        ({"series": []}, "series: has no"),
        ({"baseline": [], "candidate": [1.0]}, "baseline: has no"),
        ({"baseline": [1.0, None], "candidate": [1.0]}, "baseline: row 2, column value"),
        ({"baseline": [1.0, float("nan")], "candidate": [1.0]}, "baseline: row 2, column value"),
        ({"series": [[0, 1.0], [1, float("inf")]]}, "series: row 2, column value"),
        ({"series": [[0, 1.0], ["soon", 1.0]]}, "series: row 2, column time"),
        ({"series": [[0, 1.0], 7]}, "row 2"),
        ({"series": [1.0, True]}, "row 2"),
        ({"series": "values.csv"}, "series"),
        ({"series": {"path": "none.csv"}}, "none.csv"),
        ({"series": {"path": "../secret.csv"}}, "data folder"),
        ({"series": [1.0] * 30, "change_at": 5}, "change_at: the values have no times"),
        ({"series": as_series(np.arange(30.0)), "change_at": "2020-01-01"}, "change_at: no value"),
        ({"series": as_series(np.arange(30.0)), "change_at": "later"}, "change_at"),
        ({"baseline": [1.0], "candidate": [1.0], "change_at": 0}, "change_at"),
        ({"series": [1.0] * 30, "independent": True}, "independent"),
        ({"series": [1.0] * 30, "level": 0.5}, "level"),
        ({"series": [1.0] * 50_001}, "at most 50000"),
    ],
)
def test_input_that_is_refused_for_good(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, parameters: dict[str, Any], problem: str
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(tmp_path))
    with pytest.raises(PermanentError, match=problem):
        detect(**parameters)


def test_order_gaps_and_repeated_times_are_noted_and_do_not_change_the_answer() -> None:
    values = normal(np.random.default_rng(11), 60)
    values[30:] += 3
    series = as_series(values)
    plain = detect(series=series)
    odd = detect(series=[*reversed(series), series[4]])
    assert odd["p_value"] == plain["p_value"]
    assert len(odd["notes"]) == 2
    assert any("gaps" in note for note in detect(series=series[:10] + series[14:])["notes"])


def test_largest_values_leave_a_finite_result() -> None:
    edge = [1e15, -1e15] * 20
    json.dumps(detect(baseline=edge, candidate=[0.0, 1e-300] * 20), allow_nan=False)
    json.dumps(detect(baseline=[1e-300] * 40, candidate=edge), allow_nan=False)


@pytest.mark.parametrize("task_type", ["validate_quality", "detect_regression"])
def test_sample_task_completes_and_says_something(task_type: str) -> None:
    body = json.loads(
        (PROJECT / "examples" / "application" / f"{task_type}.json").read_text(encoding="utf-8")
    )
    assert (body["agent_type"], body["task_type"]) == ("application", task_type)
    found = agent.run(task_type, body["parameters"])
    assert found["verdict"] == {"validate_quality": "pass", "detect_regression": "yes"}[task_type]
    assert agent.run(task_type, body["parameters"]) == found


def test_every_parameter_is_described() -> None:
    for task_type in agent.task_types.values():
        schema = task_type.describe()["parameters_schema"]
        assert all("description" in field for field in schema["properties"].values())
