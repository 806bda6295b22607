"""The choice among batch limits: rates, limits, ties, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from orchestrator import PermanentError
from tests.unit.workers.performance.serving import lindley, random_requests
from workers.performance import agent
from workers.serving import tuning
from workers.serving.cost_model import CostModel
from workers.serving.tuning import choose

COEFFICIENTS = {
    "prefill_seconds_per_token": 1e-4,
    "decode_base_seconds": 0.01,
    "decode_seconds_per_sequence": 1e-4,
    "decode_seconds_per_context_token": 2e-7,
}
COST = CostModel(prefill_base_seconds=0.0, prefill_seconds_per_token_squared=0.0, **COEFFICIENTS)


def tune(requests: list[Any], **changes: Any) -> dict[str, Any]:
    trace = [list(request) for request in requests]
    result: dict[str, Any] = agent.run(
        "tune_inference", {"trace": trace, "cost_model": COEFFICIENTS, **changes}
    )
    return result


def run_of(batch: int, rate: float, ttft: float, *, exceeded: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "batch_limit": batch,
        "throughput": {"generated_tokens_per_second": rate},
        "ttft_seconds": {"p99": ttft},
        "tpot_seconds": {"p99": 0.1},
        "exceeded_limits": list(exceeded),
    }


def test_batch_of_one_reports_what_lindleys_recursion_gives() -> None:
    requests = random_requests(2_000, seed=8, rate=2.0)
    result = tune(requests, batch_limits=[1])

    expected = lindley(requests, COST)
    arrivals, context, generated = (np.array(column) for column in zip(*requests, strict=True))
    first, finished = np.array(expected.first_token), np.array(expected.finished)
    run = result["runs"][0]
    makespan = finished.max()
    assert run["makespan_seconds"] == pytest.approx(makespan)
    assert run["throughput"]["requests_per_second"] == pytest.approx(2_000 / makespan)
    assert run["throughput"]["generated_tokens_per_second"] == pytest.approx(generated.sum() / makespan)
    assert run["throughput"]["all_tokens_per_second"] == pytest.approx((generated + context).sum() / makespan)
    streamed = generated > 1
    tpot = (finished - first)[streamed] / (generated[streamed] - 1)
    for name, seconds in (
        ("ttft_seconds", first - arrivals),
        ("tpot_seconds", tpot),
        ("latency_seconds", finished - arrivals),
        ("queue_seconds", np.array(expected.admitted) - arrivals),
    ):
        assert run[name]["mean"] == pytest.approx(seconds.mean())
        assert run[name]["max"] == pytest.approx(seconds.max())
        ordered = sorted(seconds)
        for key, rank in (("p50", 50), ("p99", 99)):
            below, share = divmod((len(ordered) - 1) * rank, 100)
            value = ordered[below] + (ordered[below + 1] - ordered[below]) * share / 100
            assert run[name][key] == pytest.approx(value, rel=1e-6)
    assert run["mean_in_system"] == pytest.approx(
        run["throughput"]["requests_per_second"] * run["latency_seconds"]["mean"]
    )
    assert run["mean_running"] == pytest.approx(run["utilization"]), "a batch of one runs while it is busy"


def test_larger_batches_serve_an_overload_faster_and_each_token_slower() -> None:
    result = tune(random_requests(1_500, seed=1, rate=30.0), batch_limits=[1, 4, 16, 64])

    rates = [run["throughput"]["generated_tokens_per_second"] for run in result["runs"]]
    per_token = [run["tpot_seconds"]["p50"] for run in result["runs"]]
    assert rates == sorted(rates)
    assert per_token == sorted(per_token)
    assert result["best"]["batch_limit"] == 64
    assert result["runs"][0]["waiting_at_last_arrival"] > 1_000
    assert "more than a whole batch still waits when the last request arrives" in result["notes"][0]


def test_best_keeps_the_limits_and_nothing_within_them_is_faster() -> None:
    requests = random_requests(1_500, seed=1, rate=30.0)
    free = tune(requests, batch_limits=[1, 4, 16, 64])
    most = free["runs"][2]["tpot_seconds"]["p99"]
    held = tune(requests, batch_limits=[1, 4, 16, 64], limits={"tpot_p99_seconds": most})

    assert held["best"]["batch_limit"] == 16
    assert [run["exceeded_limits"] for run in held["runs"]] == [[], [], [], ["tpot_p99_seconds"]]
    assert held["limits"] == {"tpot_p99_seconds": most}


def test_limits_that_nothing_keeps_leave_no_best_and_say_why() -> None:
    result = tune([(0.0, 1_000, 5)], limits={"ttft_p50_seconds": 0.05, "tpot_p99_seconds": 10})

    assert result["best"] is None
    assert result["insufficient_data"]["best"] == (
        "every batch limit exceeds a limit; 1 comes nearest and exceeds ttft_p50_seconds"
    )


def test_batch_limits_that_are_never_reached_lead_to_the_same_run() -> None:
    requests = random_requests(200, seed=2, rate=1.0)
    result = tune(requests, batch_limits=[64, 32, 1_000, 32])
    alone = tune(requests, batch_limits=[1_000])

    assert [run["batch_limit"] for run in result["runs"]] == [32, 64, 1_000]
    assert result["runs"][2] == alone["runs"][0]
    assert result["best"]["batch_limit"] == 32
    assert "batch limit 32 is never reached" in result["notes"][0]


@pytest.mark.parametrize(
    ("runs", "best"),
    [
        ([run_of(1, 100, 9.0), run_of(2, 100.05, 3.0), run_of(4, 100.09, 4.0)], 2),
        ([run_of(1, 100, 9.0), run_of(2, 101, 9.5)], 2),
        ([run_of(1, 100, 3.0), run_of(2, 100, 3.0)], 1),
        ([run_of(1, 90, 9.0), run_of(2, 200, 1.0, exceeded=("tpot_p99_seconds",))], 1),
    ],
)
def test_choice_follows_the_rule(runs: list[dict[str, Any]], best: int) -> None:
    chosen = choose(runs, 0.001)

    assert chosen is not None
    assert chosen["batch_limit"] == best


def test_rate_factor_shortens_the_time_between_arrivals() -> None:
    requests = random_requests(300, seed=3, rate=1.0)
    faster = tune(requests, rate_factor=4, batch_limits=[8])
    same = tune([(arrival / 4, *tokens) for arrival, *tokens in requests], batch_limits=[8])

    found, expected = faster["runs"][0], same["runs"][0]
    assert found["latency_seconds"]["mean"] == pytest.approx(expected["latency_seconds"]["mean"], rel=1e-6)
    assert faster["offered"]["requests_per_second"] == pytest.approx(299 / (requests[-1][0] / 4))


def test_one_request_has_times_and_no_rate_of_arrival() -> None:
    result = tune([("2024-05-01T10:00:00.5Z", 100, 1)])

    run = result["runs"][0]
    assert run["ttft_seconds"]["p50"] == pytest.approx(100 * 1e-4)
    assert run["tpot_seconds"] is None
    assert result["offered"]["requests_per_second"] is None
    assert set(result["insufficient_data"]) == {"tpot_seconds", "offered.requests_per_second"}
    assert result["best"]["batch_limit"] == 1


def test_request_that_can_never_run_is_refused_with_its_row() -> None:
    with pytest.raises(PermanentError, match=r"row 2, column context_tokens: .* 110 KV entries of 100"):
        tune([(5.0, 1, 1), (1.0, 100, 10)], kv_capacity_tokens=100)


@pytest.mark.parametrize(("capacity", "running"), [(399, 3), (400, 4), (100, 1)])
def test_kv_capacity_bounds_the_batch(capacity: int, running: int) -> None:
    result = tune([(0.0, 90, 10)] * 40, kv_capacity_tokens=capacity, batch_limits=[64])

    assert result["runs"][0]["peak_running"] == running


def test_last_free_entries_are_given_to_a_request_that_comes_later() -> None:
    """The second needs just what the first leaves, so it joins when an iteration ends, not later."""
    result = tune([(0.0, 90, 10), (0.015, 40, 60)], kv_capacity_tokens=200, batch_limits=[64])

    assert result["runs"][0]["peak_running"] == 2


def test_more_work_than_is_bounded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = list(range(1, 33))
    with pytest.raises(PermanentError, match="holds more than 10000 rows"):
        tune([(0.0, 1, 1)] * 10_001, batch_limits=limits)
    monkeypatch.setattr(tuning, "MAX_SIMULATED_REQUESTS", 95)
    with pytest.raises(PermanentError, match="3 requests times 32 batch limits are more than 95; give fewer"):
        tune([(0.0, 1, 1)] * 3, batch_limits=limits)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"cost_model": {"prefill_seconds_per_token": 1, "decode_base_seconds": 0}}, "a decode coefficient"),
        ({"cost_model": {"prefill_seconds_per_token": 0, "decode_base_seconds": 1}}, "a prefill coefficient"),
        ({"cost_model": {**COEFFICIENTS, "decode_base_seconds": -1}}, "must be 0, or from"),
        ({"cost_model": {**COEFFICIENTS, "decode_base_seconds": float("nan")}}, "Special numeric values"),
        ({"cost_model": {"decode_base_seconds": 1}}, "prefill_seconds_per_token"),
        ({"batch_limits": []}, "Length must be between"),
        ({"batch_limits": [0]}, "greater than or equal to 1"),
        ({"limits": {"ttft_p95_seconds": 1}}, "Unknown field"),
        ({"limits": {"ttft_p99_seconds": 0}}, "greater than 0"),
        ({"rate_factor": 0}, "greater than or equal to"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(PermanentError, match=problem):
        tune([(0.0, 1, 1)], **changes)
