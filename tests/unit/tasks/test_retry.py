from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.tasks.retry import (
    JITTER,
    MAX_RETRY_DELAY_SECONDS,
    GiveUp,
    RetryAfter,
    RetryPolicy,
    decide_retry,
)


def decide(
    retries: int, *, limit: int = 3, delay: float = 4.0, retryable: bool = True, asked: float | None = None
) -> object:
    return decide_retry(
        RetryPolicy(limit, delay), retries, retryable=retryable, asked_seconds=asked, rng=random.Random(7)
    )


def test_what_cannot_help_is_not_tried_again() -> None:
    assert decide(0, retryable=False) == GiveUp()
    assert decide(3) == GiveUp()
    assert decide(0, limit=0) == GiveUp()


def test_the_handler_s_own_delay_wins() -> None:
    assert decide(2, asked=0.0) == RetryAfter(0.0)
    assert decide(2, asked=86_400.0) == RetryAfter(86_400.0)
    assert decide(3, asked=1.0) == GiveUp()


@given(retries=st.integers(0, 10_000), delay=st.floats(0, 3600))
def test_the_delay_doubles_within_its_jitter_and_its_cap(retries: int, delay: float) -> None:
    decision = decide(retries, limit=20_000, delay=delay)

    assert isinstance(decision, RetryAfter)
    grown = min(delay * 2.0 ** min(retries, 30), MAX_RETRY_DELAY_SECONDS)
    assert grown * (1 - JITTER) <= decision.seconds <= grown * (1 + JITTER)
