"""One clock that all processes of a machine share and that goes on while they are frozen or it sleeps."""

from __future__ import annotations

import time


def boottime() -> float:
    """Return seconds of CLOCK_BOOTTIME."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
