"""The plan of a paged KV cache: each block size over the requests of a trace, and the best of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.serving.blocks import MIN_MIXED_BATCH, blocks_needed, mixed_batch, nearest_rank, waste

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from workers.serving.memory import Gpus, ModelShape
    from workers.serving.trace import Trace

    Progress = Callable[[float, str], None]

RULE = (
    "the fewest bytes per request on the average, block_overhead_bytes included; of the block sizes within "
    "tolerance of them the largest, whose block tables are shortest"
)
_ALL = 100


def plan_kv_cache(
    trace: Trace,
    shape: ModelShape,
    gpus: Gpus,
    *,
    block_sizes: Sequence[int],
    percentiles: Sequence[float],
    block_overhead_bytes: int,
    tolerance: float,
    progress: Progress,
) -> dict[str, Any]:
    """Return bytes per token; blocks, waste and batch of each block size; and the best one by RULE.

    A request needs a slot for each token of its context and its answer. All bytes are per GPU. Raises
    PermanentError where the weights leave no memory.
    """
    per_token, memory = shape.bytes_per_token(gpus.count), gpus.kv_bytes()
    tokens = trace.context + trace.generated
    lengths = {percentile: nearest_rank(tokens, percentile) for percentile in sorted(set(percentiles))}
    plans = []
    for done, block_size in enumerate(sorted(set(block_sizes))):
        progress(done / len(block_sizes), f"filling blocks of {block_size} tokens")
        plan = _plan(tokens, lengths, memory, block_size, per_token * block_size + block_overhead_bytes)
        plans.append({**plan, "waste": asdict(waste(trace.context, trace.generated, block_size))})
    return {
        "bytes_per_token": per_token,
        "kv_bytes": memory,
        "gpus": gpus.count,
        "capacity_tokens": memory // per_token,
        "requests": len(trace),
        "tokens_per_request": {
            "mean": float(tokens.mean()),
            "largest": int(tokens.max()),
            "percentiles": [{"percentile": rank, "tokens": length} for rank, length in lengths.items()],
        },
        "block_sizes": plans,
        "best": _best(plans, tolerance),
        "rule": RULE,
        "tolerance": tolerance,
        "contiguous": _contiguous(tokens, memory // per_token),
        "notes": [*trace.notes, *_notes(plans, tokens)],
        "insufficient_data": _reasons(plans),
    }


def _plan(
    tokens: NDArray[np.int64], lengths: dict[float, int], memory: int, block_size: int, block_bytes: int
) -> dict[str, Any]:
    count = memory // block_bytes
    needed = blocks_needed(tokens, block_size)
    return {
        "block_size": block_size,
        "block_bytes": block_bytes,
        "block_count": count,
        "bytes_left_over": memory - count * block_bytes,
        "mean_blocks_per_request": float(needed.mean()),
        "mean_bytes_per_request": float(needed.mean()) * block_bytes,
        "largest_batch": [
            {
                "percentile": percentile,
                "blocks_per_request": -(-length // block_size),
                "batch": count // -(-length // block_size),
                "mixed_batch": mixed_batch(needed, count, percentile / _ALL) if percentile < _ALL else None,
            }
            for percentile, length in lengths.items()
        ],
    }


def _best(plans: list[dict[str, Any]], tolerance: float) -> dict[str, Any]:
    fewest = min(plan["mean_bytes_per_request"] for plan in plans)
    equal = [plan for plan in plans if plan["mean_bytes_per_request"] <= fewest * (1 + tolerance)]
    return max(equal, key=lambda plan: int(plan["block_size"]))


def _contiguous(tokens: NDArray[np.int64], capacity: int) -> dict[str, Any]:
    """Return what a cache without blocks does, which reserves the longest request's slots for every one."""
    longest = int(tokens.max())
    return {
        "slots_per_request": longest,
        "batch": capacity // longest,
        "waste_share": 1 - float(tokens.mean()) / longest,
    }


def _notes(plans: list[dict[str, Any]], tokens: NDArray[np.int64]) -> list[str]:
    longest = int(tokens.max())
    short = [plan["block_size"] for plan in plans if plan["block_count"] * plan["block_size"] < longest]
    if not short:
        return []
    most = max(plan["block_count"] * plan["block_size"] for plan in plans)
    over = int(np.count_nonzero(tokens > most))
    sizes = ", ".join(map(str, short))
    never = f"with block size {sizes} the longest request ({longest} tokens) never fits"
    return [f"{never}; {over} of {len(tokens)} requests fit with no block size"]


def _reasons(plans: list[dict[str, Any]]) -> dict[str, str]:
    if all(line["mixed_batch"] is not None for plan in plans for line in plan["largest_batch"]):
        return {}
    reason = (
        f"null below {MIN_MIXED_BATCH} requests, where the normal law of their sum is too rough, and at "
        "percentile 100, which that law does not have"
    )
    return {"largest_batch.mixed_batch": reason}
