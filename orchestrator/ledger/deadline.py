"""Bounds for a driver that has none: psycopg2 waits for its socket here, up to the deadline in force.

`statement_timeout` is the server's promise, and a stopped server keeps none. So every wait of psycopg2 in a
process goes through `wait_for_server`, which looks at the deadline of the calling thread; when that passes it
raises, and psycopg2 closes the connection. A process that runs on gevent has psycogreen's wait callback
instead, and hands the ledger a deadline that interrupts greenlets (`gevent.Timeout`).
"""

from __future__ import annotations

import math
import select
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg2
from psycopg2 import extensions

if TYPE_CHECKING:
    from collections.abc import Iterator


class DeadlinePassedError(TimeoutError):
    """PostgreSQL did not answer before the deadline in force."""


class _Limits(threading.local):
    ends_at: float | None = None


_limits = _Limits()


@contextmanager
def socket_deadline(seconds: float) -> Iterator[None]:
    """Bound all waits of this thread for PostgreSQL in the block; the nearest of nested deadlines holds."""
    outer = _limits.ends_at
    ends_at = time.monotonic() + seconds
    _limits.ends_at = ends_at if outer is None else min(outer, ends_at)
    try:
        yield
    finally:
        _limits.ends_at = outer


def bound_waits() -> None:
    """Make psycopg2 wait through `wait_for_server` in this process.

    Raises RuntimeError if it already waits through something else.
    """
    present = extensions.get_wait_callback()
    if present is None:
        extensions.set_wait_callback(wait_for_server)
    elif present is not wait_for_server:
        raise RuntimeError(
            "psycopg2 already waits through another callback: hand the ledger a deadline that interrupts it"
        )


def wait_for_server(connection: extensions.connection) -> None:
    """Drive one operation of `connection` to its end. Raises DeadlinePassedError."""
    while (state := connection.poll()) != extensions.POLL_OK:
        if state == extensions.POLL_READ:
            _wait(connection.fileno(), select.POLLIN)
        elif state == extensions.POLL_WRITE:
            _wait(connection.fileno(), select.POLLOUT)
        else:
            raise psycopg2.OperationalError(f"unknown state of the connection: {state}")


def _wait(descriptor: int, event: int) -> None:
    poller = select.poll()
    poller.register(descriptor, event)
    if not poller.poll(_remaining_ms()):
        raise DeadlinePassedError("PostgreSQL did not answer in time")


def _remaining_ms() -> int | None:
    if _limits.ends_at is None:
        return None
    return max(0, math.ceil((_limits.ends_at - time.monotonic()) * 1000))
