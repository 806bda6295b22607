"""Whether and when a failed run is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

MAX_RETRY_DELAY_SECONDS = 3600.0
JITTER = 0.25
_MAX_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon: `delay_seconds` doubles with each retry up to MAX_RETRY_DELAY_SECONDS."""

    max_retries: int
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The task ends with this failure."""


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """The task runs again `seconds` from now."""

    seconds: float


def decide_retry(
    policy: RetryPolicy,
    retries_so_far: int,
    *,
    retryable: bool,
    asked_seconds: float | None,
    rng: random.Random,
) -> GiveUp | RetryAfter:
    """Decide about one failed run.

    `asked_seconds` is what the handler asked for (RetryLater) and wins over the policy's delay. Otherwise the
    delay is delay * 2**retries, capped, times a jitter drawn evenly from 1 ± JITTER.
    """
    if not retryable or retries_so_far >= policy.max_retries:
        return GiveUp()
    if asked_seconds is not None:
        return RetryAfter(asked_seconds)
    grown = policy.delay_seconds * 2.0 ** min(retries_so_far, _MAX_DOUBLINGS)
    return RetryAfter(min(grown, MAX_RETRY_DELAY_SECONDS) * rng.uniform(1 - JITTER, 1 + JITTER))
