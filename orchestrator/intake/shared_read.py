"""A value that many requests need and one of them reads: never twice at a time, never for nothing."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from orchestrator.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class SharedRead(Generic[T]):
    """Keeps what `read` returned for `fresh_seconds`.

    Requests that come while a read is under way share its answer, and its failure too: when the store is
    frozen, each of them waits for one bound, not for one after the other. `pause_seconds` is the least time
    between two reads.
    """

    def __init__(self, read: Callable[[], T], *, fresh_seconds: float, pause_seconds: float = 0.0) -> None:
        self._read = read
        self._fresh_seconds = fresh_seconds
        self._pause_seconds = pause_seconds
        self._reading = threading.Lock()
        self._value: list[T] = []
        self._begun_at = float("-inf")
        self._failure: UnavailableError | None = None
        self._failed_at = float("-inf")

    def get(self) -> T:
        """Return a value that is at most `fresh_seconds` old. Raises what `read` raises."""
        return self._get(time.monotonic() - self._fresh_seconds)

    def get_new(self) -> T:
        """Return a value whose reading began after this call."""
        return self._get(time.monotonic())

    def last(self) -> T | None:
        """Return what was read last, however old, without reading."""
        return self._value[0] if self._value else None

    def _get(self, not_before: float) -> T:
        if self._value and self._begun_at >= not_before:
            return self._value[0]
        called_at = time.monotonic()
        with self._reading:
            if self._value and self._begun_at >= not_before:
                return self._value[0]
            if self._failure is not None and self._failed_at >= called_at:
                raise type(self._failure)(str(self._failure))
            return self._read_now()

    def _read_now(self) -> T:
        pause = self._begun_at + self._pause_seconds - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        begun_at = time.monotonic()
        try:
            value = self._read()
        except UnavailableError as error:
            self._failure, self._failed_at = error, time.monotonic()
            raise
        self._value, self._begun_at, self._failure = [value], begun_at, None
        return value
