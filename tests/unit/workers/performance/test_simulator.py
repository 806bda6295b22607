"""The simulated server against recursions, a stepped server, queueing formulas and a case done by hand."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.unit.workers.performance.serving import (
    COST,
    lindley,
    random_requests,
    token_by_token,
    trace_of,
)
from workers.serving.cost_model import CostModel
from workers.serving.latency import latencies, mean_in_system
from workers.serving.simulator import ServerLimits, simulate

if TYPE_CHECKING:
    from tests.unit.workers.performance.serving import (
        Outcome,
        Requests,
    )
    from workers.serving.simulator import Run

EXACT = CostModel(0.5, 0.25, 0.0, 1.0, 0.25, 0.0625)
"""Binary fractions: sums of them are exact, so ties between arrivals and iterations are real ties."""
FLAT = CostModel(0.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def run(requests: Requests, cost: CostModel, limits: ServerLimits) -> Run:
    return simulate(trace_of(requests), cost, limits)


def assert_same(found: Run, expected: Outcome, *, tolerance: float = 1e-9) -> None:
    for name, moments in expected._asdict().items():
        np.testing.assert_allclose(
            getattr(found, name), moments, rtol=tolerance, atol=tolerance, err_msg=name
        )


@pytest.mark.parametrize("rate", [0.1, 1.5, 20.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_batch_of_one_is_the_single_server_queue_of_lindley(rate: float, seed: int) -> None:
    requests = random_requests(5_000, seed=seed, rate=rate)

    assert_same(run(requests, COST, ServerLimits(1)), lindley(requests, COST))


@pytest.mark.parametrize(
    "limits",
    [
        ServerLimits(1),
        ServerLimits(2),
        ServerLimits(7),
        ServerLimits(1_000),
        ServerLimits(64, kv_capacity_tokens=9_000),
        ServerLimits(64, prefill_token_budget=3_000),
        ServerLimits(5, kv_capacity_tokens=12_000, prefill_token_budget=6_000),
    ],
)
@pytest.mark.parametrize("rate", [0.5, 4.0, 50.0])
def test_jumping_over_iterations_leads_where_stepping_through_them_does(
    limits: ServerLimits, rate: float
) -> None:
    requests = random_requests(150, seed=round(rate * 10), rate=rate)

    assert_same(run(requests, COST, limits), token_by_token(requests, COST, limits))


@pytest.mark.parametrize("seed", range(20))
def test_ties_between_arrivals_and_iterations_fall_as_in_the_stepped_server(seed: int) -> None:
    chance = np.random.default_rng(seed)
    count = 60
    arrivals = np.cumsum(chance.integers(0, 12, count)) / 4.0
    arrivals -= arrivals[0]
    requests = [
        (float(arrival), int(chance.integers(1, 9)), int(chance.integers(1, 7))) for arrival in arrivals
    ]
    for cost in (EXACT, FLAT):
        for batch in (1, 3, 8):
            assert_same(
                run(requests, cost, ServerLimits(batch)),
                token_by_token(requests, cost, ServerLimits(batch)),
                tolerance=0.0,
            )


def test_two_requests_worked_out_by_hand() -> None:
    """Request 0: prefill 0.5 + 4/4 = 1.5. Its decodes read 5, 6, … entries at 1/16 s each, beside 1.25 s.

    The first decode ends at 1.5 + 1.25 + 5/16 = 3.0625, after request 1 arrived (2.0): its prefill of
    0.5 + 2/4 ends at 4.0625, then both decode at 1 + 2/4 s and (6 + 3)/16 s: 6.125. Request 1 has its two
    tokens; request 0 reads 7 entries more: 6.125 + 1.25 + 7/16.
    """
    found = run([(0.0, 4, 4), (2.0, 2, 2)], EXACT, ServerLimits(2))

    assert list(found.admitted) == [0.0, 3.0625]
    assert list(found.first_token) == [1.5, 4.0625]
    assert list(found.finished) == [7.8125, 6.125]
    assert found.busy_seconds == 7.8125
    assert found.peak_running == 2


@pytest.mark.parametrize(
    "limits", [ServerLimits(1), ServerLimits(6), ServerLimits(300, kv_capacity_tokens=20_000)]
)
@pytest.mark.parametrize("rate", [0.3, 2.0, 30.0])
def test_littles_law_holds_in_the_system_and_in_the_batch(limits: ServerLimits, rate: float) -> None:
    requests = random_requests(3_000, seed=5, rate=rate)
    trace = trace_of(requests)
    found = simulate(trace, COST, limits)
    makespan = float(found.finished.max())
    arrival_rate = len(trace) / makespan

    stay = float(latencies(trace, found).in_system.mean())
    assert mean_in_system(trace.arrivals, found.finished) == pytest.approx(arrival_rate * stay, rel=1e-9)
    service = float((found.finished - found.admitted).mean())
    assert found.running_area / makespan == pytest.approx(arrival_rate * service, rel=1e-9)


def test_number_in_system_is_the_area_under_a_step_function() -> None:
    """One from 0 to 1, two from 1 to 2, one to 4, none to 6, one to 8: 1 + 2 + 2 + 0 + 2 over 8 s."""
    assert mean_in_system(np.array([0.0, 1.0, 6.0]), np.array([2.0, 4.0, 8.0])) == 7 / 8


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_constant_service_waits_as_pollaczek_and_khinchine_say(load: float) -> None:
    """M/D/1: mean wait = load · service / (2 (1 - load)); 100,000 seeded Poisson arrivals, 4 % tolerance."""
    chance = np.random.default_rng(11)
    count, service = 100_000, 2.0
    arrivals = np.cumsum(chance.exponential(service / load, count))
    requests = [(float(arrival), 8, 1) for arrival in arrivals]
    trace = trace_of(requests)
    found = simulate(trace, replace(FLAT, prefill_seconds_per_token=service / 8), ServerLimits(1))

    wait = float(latencies(trace, found).in_queue.mean())
    assert wait == pytest.approx(load * service / (2 * (1 - load)), rel=0.04)


def test_saturated_equal_requests_reach_the_closed_form_throughput() -> None:
    """All are there at once: each round takes one prefill of b prompts and g - 1 decodes of b."""
    batch, rounds, context, generated = 8, 25, 100, 16
    requests = [(0.0, context, generated)] * (batch * rounds)
    found = run(requests, COST, ServerLimits(batch))

    steps = generated - 1
    entries = batch * (steps * context + steps * (steps + 1) // 2)
    one_round = (
        COST.prefill_base_seconds
        + batch
        * (context * COST.prefill_seconds_per_token + context**2 * COST.prefill_seconds_per_token_squared)
        + steps * (COST.decode_base_seconds + batch * COST.decode_seconds_per_sequence)
        + entries * COST.decode_seconds_per_context_token
    )
    assert float(found.finished.max()) == pytest.approx(rounds * one_round, rel=1e-12)
    assert found.busy_seconds == pytest.approx(rounds * one_round, rel=1e-12)
    assert found.peak_running == batch


def test_request_that_never_fits_ends_the_run_instead_of_waiting_for_ever() -> None:
    with pytest.raises(ValueError, match="request 1 needs more KV entries"):
        run([(0.0, 5, 2), (0.0, 50, 2)], EXACT, ServerLimits(2, kv_capacity_tokens=20))


def test_prompt_longer_than_the_prefill_budget_goes_alone() -> None:
    requests = [(0.0, 50, 2), (0.0, 10, 2), (0.0, 10, 2)]
    found = run(requests, EXACT, ServerLimits(8, prefill_token_budget=20))

    assert found.admitted[0] == 0.0
    assert found.admitted[1] == found.admitted[2] == found.first_token[0]


def test_a_million_iterations_of_one_request_are_one_jump() -> None:
    """The clock lands on the arithmetic series, summed here with fractions."""
    generated, context = 1_000_001, 3
    found = run([(0.0, context, generated)], COST, ServerLimits(4))

    steps = generated - 1
    entries = steps * context + Fraction(steps * (steps + 1), 2)
    decode = steps * (Fraction(COST.decode_base_seconds) + Fraction(COST.decode_seconds_per_sequence))
    decode += entries * Fraction(COST.decode_seconds_per_context_token)
    assert found.finished[0] - found.first_token[0] == pytest.approx(float(decode), rel=1e-12)
