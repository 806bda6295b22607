"""Waiting for a fact, within a bound."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
LOOK_SECONDS = 0.02


def wait_for(fact: Callable[[], T], *, within: float = 10.0, what: str = "") -> T:
    """Return the fact as soon as it is true; fail when it is not so within as many seconds."""
    until = time.monotonic() + within
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() >= until:
            raise AssertionError(
                f"{what or 'the fact'} did not come within {within:g} s; the last value was {value!r}"
            )
        time.sleep(LOOK_SECONDS)
