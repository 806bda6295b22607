"""Traces made for a test, and the same server worked out in other ways: token by token, and by recursions."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from workers.serving.cost_model import CostModel
from workers.serving.trace import Trace

if TYPE_CHECKING:
    from workers.serving.simulator import ServerLimits

Requests = list[tuple[float, int, int]]
"""Arrival in seconds, context tokens, generated tokens."""

COST = CostModel(
    prefill_base_seconds=0.003,
    prefill_seconds_per_token=1.1e-4,
    prefill_seconds_per_token_squared=3e-9,
    decode_base_seconds=0.011,
    decode_seconds_per_sequence=1.3e-4,
    decode_seconds_per_context_token=2.7e-7,
)


def trace_of(requests: Requests) -> Trace:
    arrivals, context, generated = (np.array(column) for column in zip(*requests, strict=True))
    return Trace(
        arrivals.astype(float) - arrivals[0],
        context.astype(np.int64),
        generated.astype(np.int64),
        np.arange(1, len(requests) + 1),
        [],
    )


def random_requests(
    count: int, *, seed: int, rate: float, longest: int = 4_000, answer: int = 30
) -> Requests:
    """Return Poisson arrivals with uniform contexts and geometric answers, single tokens among them."""
    chance = random.Random(seed)
    clock, requests = 0.0, []
    for _ in range(count):
        generated = 1
        while chance.random() > 1 / answer:
            generated += 1
        requests.append((clock, chance.randint(1, longest), generated))
        clock += chance.expovariate(rate)
    return requests


def prefill_seconds(cost: CostModel, contexts: list[int]) -> float:
    return cost.prefill_base_seconds + sum(
        cost.prefill_seconds_per_token * c + cost.prefill_seconds_per_token_squared * c * c for c in contexts
    )


def decode_seconds(cost: CostModel, entries: list[int]) -> float:
    return (
        cost.decode_base_seconds
        + cost.decode_seconds_per_sequence * len(entries)
        + cost.decode_seconds_per_context_token * sum(entries)
    )


class Outcome(NamedTuple):
    admitted: list[float]
    first_token: list[float]
    finished: list[float]


def token_by_token(requests: Requests, cost: CostModel, limits: ServerLimits) -> Outcome:
    """Return the outcome of a server that is stepped through every single iteration."""
    count = len(requests)
    admitted, first_token, finished = [0.0] * count, [0.0] * count, [0.0] * count
    waiting, clock = list(range(count)), 0.0
    running: dict[int, int] = {}
    while waiting or running:
        chosen: list[int] = []
        for request in waiting:
            arrival, context, generated = requests[request]
            held = sum(requests[other][1] + requests[other][2] for other in [*running, *chosen])
            prompts = sum(requests[other][1] for other in chosen)
            if (
                arrival > clock
                or len(running) + len(chosen) >= limits.batch
                or (
                    limits.kv_capacity_tokens is not None
                    and held + context + generated > limits.kv_capacity_tokens
                )
                or (
                    chosen
                    and limits.prefill_token_budget is not None
                    and prompts + context > limits.prefill_token_budget
                )
            ):
                break
            chosen.append(request)
        if chosen:
            for request in chosen:
                admitted[request] = clock
            clock += prefill_seconds(cost, [requests[request][1] for request in chosen])
            for request in chosen:
                first_token[request] = clock
                running[request] = 1
                waiting.remove(request)
        elif running:
            clock += decode_seconds(cost, [requests[request][1] + done for request, done in running.items()])
            running = {request: done + 1 for request, done in running.items()}
        else:
            clock = requests[waiting[0]][0]
        for request in [request for request, done in running.items() if done == requests[request][2]]:
            finished[request] = clock
            del running[request]
    return Outcome(admitted, first_token, finished)


def lindley(requests: Requests, cost: CostModel) -> Outcome:
    """Return the single-server queue: W(n+1) = max(0, W(n) + S(n) - time between arrivals n and n+1).

    S is the prefill and, for each further token, a decode iteration over all entries so far, summed up by the
    arithmetic series of the entries c + 1, …, c + g - 1.
    """
    admitted, first_token, finished = [], [], []
    wait, last_arrival, last_service = 0.0, requests[0][0], 0.0
    for arrival, context, generated in requests:
        wait = max(0.0, wait + last_service - (arrival - last_arrival))
        steps = generated - 1
        entries = steps * context + steps * (steps + 1) // 2
        prefill = prefill_seconds(cost, [context])
        per_step = cost.decode_base_seconds + cost.decode_seconds_per_sequence
        last_service = prefill + steps * per_step + cost.decode_seconds_per_context_token * entries
        last_arrival = arrival
        admitted.append(arrival + wait)
        first_token.append(arrival + wait + prefill)
        finished.append(arrival + wait + last_service)
    return Outcome(admitted, first_token, finished)
