"""Whether a process of this machine still lives."""

from __future__ import annotations

import psutil

_CREATE_TIME_SLACK_SECONDS = 1.0


def is_alive(pid: int, *, started_at: float | None = None) -> bool:
    """Whether `pid` runs, and is the process that was started at that epoch time if it is given.

    A zombie is dead: its parent has not looked yet, but it does nothing any more.
    """
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return False
        return started_at is None or abs(process.create_time() - started_at) <= _CREATE_TIME_SLACK_SECONDS
    except psutil.NoSuchProcess:
        return False
