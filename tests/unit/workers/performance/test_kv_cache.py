"""The KV cache plan against published figures, counting slot by slot, and draws from the trace."""

from __future__ import annotations

import itertools
import random
from math import ceil
from typing import Any

import numpy as np
import pytest

from orchestrator import PermanentError
from workers.performance import agent
from workers.serving.blocks import mixed_batch, nearest_rank, waste
from workers.serving.memory import DTYPE_BYTES, ModelShape

OPT_13B = {"layers": 40, "kv_heads": 40, "head_size": 128, "dtype": "float16"}
GIB = 1 << 30


def plan(trace: list[list[int]], **changes: Any) -> dict[str, Any]:
    parameters = {
        "model": OPT_13B,
        "gpu": {"memory_bytes": 40 * GIB},
        "weights_bytes": 26 * 10**9,
        "trace": trace,
        **changes,
    }
    result: dict[str, Any] = agent.run("optimize_kv_cache", parameters)
    return result


def pairs(count: int, seed: int) -> list[list[int]]:
    chance = random.Random(seed)
    return [[chance.randint(1, 300), chance.randint(1, 90)] for _ in range(count)]


def test_bytes_per_token_are_those_the_pagedattention_paper_states_for_opt_13b() -> None:
    """2 (key and value vectors) * 5120 (hidden state size) * 40 (layers) * 2 (bytes of FP16) = 800 KB."""
    result = plan([[1024, 1024]])

    assert result["bytes_per_token"] == 2 * 5120 * 40 * 2 == 800 * 1024
    assert result["kv_bytes"] == 40 * GIB - 26 * 10**9
    assert result["capacity_tokens"] == (40 * GIB - 26 * 10**9) // 819_200


@pytest.mark.parametrize(("dtype", "size"), DTYPE_BYTES.items())
@pytest.mark.parametrize(("gpus", "heads"), [(1, 8), (2, 4), (8, 1), (16, 1), (3, 3)])
def test_heads_are_shared_by_the_gpus_and_copied_where_there_are_more_gpus(
    dtype: str, size: int, gpus: int, heads: int
) -> None:
    assert ModelShape(80, 8, 128, dtype).bytes_per_token(gpus) == 2 * 80 * heads * 128 * size


def test_memory_is_what_weights_and_reserve_leave_on_each_gpu() -> None:
    gpu = {"memory_bytes": 80 * GIB, "count": 4, "usable_fraction": 0.9, "reserved_bytes": 2 * GIB}
    result = plan([[10, 10]], gpu=gpu, weights_bytes=140 * 10**9)

    assert result["kv_bytes"] == int(80 * GIB * 0.9) - 35 * 10**9 - 2 * GIB
    assert result["bytes_per_token"] == 2 * 40 * 10 * 128 * 2


def test_weights_that_leave_no_memory_are_refused() -> None:
    with pytest.raises(PermanentError, match="none is left for the KV cache"):
        plan([[1, 1]], weights_bytes=40 * GIB)


@pytest.mark.parametrize("block_size", [1, 2, 7, 16, 64, 1_000])
def test_waste_is_what_counting_the_empty_slots_of_every_iteration_gives(block_size: int) -> None:
    requests = pairs(60, seed=block_size)
    empty = allocated = 0
    for context, generated in requests:
        for length in range(context + 1, context + generated + 1):
            slots = ceil(length / block_size) * block_size
            empty, allocated = empty + slots - length, allocated + slots
    at_end = [ceil(sum(pair) / block_size) * block_size for pair in requests]
    tokens = sum(map(sum, requests))

    context, generated = np.array(requests).T
    found = waste(context, generated, block_size)
    assert found.over_life_share == pytest.approx(empty / allocated, rel=1e-12)
    assert found.at_end_share == pytest.approx(1 - tokens / sum(at_end), rel=1e-12)
    assert found.mean_slots_at_end == pytest.approx((sum(at_end) - tokens) / len(requests), rel=1e-12)


def test_waste_of_all_lengths_once_is_half_a_block_less_half_a_slot() -> None:
    """Lengths spread evenly over the residues of B leave (B - 1) / 2 slots empty on the average."""
    context = np.arange(1_000, 1_000 + 64 * 5)
    found = waste(context, np.ones_like(context), 64)

    assert found.mean_slots_at_end == (64 - 1) / 2


def test_blocks_and_batches_are_the_closed_forms() -> None:
    requests = pairs(500, seed=3)
    result = plan(requests, percentiles=[50, 90, 99, 100], block_sizes=[16, 1, 24])

    lengths = sorted(map(sum, requests))
    memory = 40 * GIB - 26 * 10**9
    assert [entry["block_size"] for entry in result["block_sizes"]] == [1, 16, 24]
    for entry in result["block_sizes"]:
        size = entry["block_size"]
        assert entry["block_bytes"] == 819_200 * size
        assert entry["block_count"] == memory // (819_200 * size)
        assert entry["block_count"] * entry["block_bytes"] + entry["bytes_left_over"] == memory
        for line in entry["largest_batch"]:
            length = lengths[ceil(500 * line["percentile"] / 100) - 1]
            assert line["blocks_per_request"] == ceil(length / size)
            assert line["batch"] == entry["block_count"] // ceil(length / size)
    assert result["contiguous"]["batch"] == result["capacity_tokens"] // lengths[-1]
    assert result["contiguous"]["waste_share"] == pytest.approx(1 - sum(lengths) / 500 / lengths[-1])


def test_batch_at_a_percentile_fits_and_one_more_does_not() -> None:
    result = plan(pairs(300, seed=9))

    for entry, position in itertools.product(result["block_sizes"], range(3)):
        line = entry["largest_batch"][position]
        assert line["batch"] * line["blocks_per_request"] <= entry["block_count"]
        assert (line["batch"] + 1) * line["blocks_per_request"] > entry["block_count"]


@pytest.mark.parametrize("probability", [0.5, 0.9, 0.99])
def test_mixed_batch_fits_as_often_as_it_says(probability: float) -> None:
    """20,000 seeded draws of that many requests; one tenth more requests fit clearly less often."""
    chance = np.random.default_rng(2)
    blocks = chance.integers(1, 60, 4_000)
    count = 6_000
    batch = mixed_batch(blocks, count, probability)

    assert batch is not None
    draws = chance.choice(blocks, size=(20_000, batch)).sum(axis=1)
    assert np.mean(draws <= count) == pytest.approx(probability, abs=0.02)


def test_mixed_batch_is_not_stated_where_its_law_is_rough() -> None:
    result = plan([[4_000, 100], [3_000, 50]], percentiles=[50, 100])

    assert all(
        line["mixed_batch"] is None for entry in result["block_sizes"] for line in entry["largest_batch"]
    )
    assert "null below 30 requests" in result["insufficient_data"]["largest_batch.mixed_batch"]


def test_nearest_rank_is_a_length_that_enough_requests_do_not_exceed() -> None:
    lengths = np.array([5, 1, 9, 3])

    assert [nearest_rank(lengths, rank) for rank in (1, 25, 25.1, 50, 75, 99, 100)] == [1, 1, 3, 3, 5, 9, 9]


def test_best_block_size_without_overhead_is_the_one_of_least_waste() -> None:
    result = plan(pairs(400, seed=4), tolerance=0, block_sizes=[1, 8, 16, 32])

    assert result["best"]["block_size"] == 1
    assert result["best"]["waste"]["at_end_share"] == 0


def test_best_block_size_weighs_overhead_against_waste_as_trying_every_size_does() -> None:
    requests, overhead = pairs(400, seed=4), 3 * 819_200
    result = plan(requests, tolerance=0, block_overhead_bytes=overhead, block_sizes=list(range(1, 33)))

    def cost_of(size: int) -> int:
        return sum(ceil(sum(pair) / size) for pair in requests) * (819_200 * size + overhead)

    assert result["best"]["block_size"] == min(range(1, 33), key=cost_of)
    assert 1 < result["best"]["block_size"] < 32


def test_best_block_size_is_the_largest_within_the_tolerance() -> None:
    requests = [[1_000, 1_000]] * 10
    result = plan(requests, tolerance=0.01, block_sizes=[10, 16, 400, 405, 900])

    assert result["best"]["block_size"] == 400, "405 takes 2,025 slots for 2,000 tokens: 1.25 % more"
    assert result["tolerance"] == 0.01


def test_requests_that_never_fit_are_said() -> None:
    result = plan([[60_000, 1], [10, 1]], block_sizes=[16], percentiles=[50, 99])

    assert [line["batch"] for line in result["block_sizes"][0]["largest_batch"]] == [1293, 0]
    assert result["notes"] == [
        (
            "with block size 16 the longest request (60001 tokens) never fits; "
            "1 of 2 requests fit with no block size"
        )
    ]


@pytest.mark.parametrize(
    ("trace", "tokens"), [([[5, 2]], 7), ([[5, 2]] * 50, 7), ([["2024-01-01 00:00:00", 5, 2]], 7)]
)
def test_one_request_constant_ones_and_whole_requests_have_an_answer(trace: list[Any], tokens: int) -> None:
    result = plan(trace)

    assert {entry["tokens"] for entry in result["tokens_per_request"]["percentiles"]} == {tokens}
    assert result["requests"] == len(trace)
