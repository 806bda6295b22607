"""One clock that every process of a machine shares and that goes on while they are frozen or the machine sleeps."""

from __future__ import annotations

import time


def boottime() -> float:
    """Return seconds of CLOCK_BOOTTIME."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
