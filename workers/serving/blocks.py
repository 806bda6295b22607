"""The paged KV cache: how requests fill blocks of tokens, and how many requests fit."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_MIXED_BATCH = 30
"""Fewer requests than this make the normal approximation of their sum too rough to state."""


@dataclass(frozen=True, slots=True)
class Waste:
    """Token slots of allocated blocks that hold no token (internal fragmentation of the last block)."""

    at_end_share: float
    """Of the slots allocated when the requests end."""
    over_life_share: float
    """Of the slots allocated, over all iterations in which the requests generate a token."""
    mean_slots_at_end: float


def blocks_needed(tokens: NDArray[np.int64], block_size: int) -> NDArray[np.int64]:
    """Return ceil(tokens / block_size)."""
    return -(-tokens // block_size)


def waste(context: NDArray[np.int64], generated: NDArray[np.int64], block_size: int) -> Waste:
    """Return the waste of requests that grow from their context by one token per iteration."""
    tokens = context + generated
    allocated = int(blocks_needed(tokens, block_size).sum()) * block_size
    empty = allocated - int(tokens.sum())
    empty_over_life = float((_empty_up_to(tokens, block_size) - _empty_up_to(context, block_size)).sum())
    stored_over_life = float((_triangle(tokens) - _triangle(context)).sum())
    return Waste(
        at_end_share=empty / allocated,
        over_life_share=empty_over_life / (empty_over_life + stored_over_life),
        mean_slots_at_end=empty / len(tokens),
    )


def _empty_up_to(tokens: NDArray[np.int64], block_size: int) -> NDArray[np.float64]:
    """Return the sum of the empty slots over all lengths from 1 to `tokens`.

    Each full block contributes 0 + 1 + … + (B - 1); the r tokens of the last one (B - 1) + … + (B - r).
    """
    full, rest = np.divmod(tokens, block_size)
    last = rest * block_size - rest * (rest + 1) // 2
    return np.asarray(full * (block_size * (block_size - 1) // 2) + last, dtype=np.float64)


def _triangle(tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    exact = tokens.astype(np.float64)
    return np.asarray(exact * (exact + 1) / 2, dtype=np.float64)


def nearest_rank(lengths: NDArray[np.int64], percentile: float) -> int:
    """Return the smallest length that at least `percentile` percent of the requests do not exceed."""
    return int(np.percentile(lengths, percentile, method="inverted_cdf"))


def mixed_batch(blocks: NDArray[np.int64], block_count: int, probability: float) -> int | None:
    """Return how many requests, drawn at random, fit into `block_count` with this probability (below 1).

    The sum of n independent draws is taken as normal with n times their mean and variance (central limit
    theorem), so n solves mean · n + z · deviation · √n = block_count. None below MIN_MIXED_BATCH.
    """
    mean, margin = float(blocks.mean()), NormalDist().inv_cdf(probability) * float(blocks.std())
    root = (sqrt(margin * margin + 4 * mean * block_count) - margin) / (2 * mean)
    batch = min(int(root * root), block_count)
    return batch if batch >= MIN_MIXED_BATCH else None
