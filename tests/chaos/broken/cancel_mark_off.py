"""A wish to cancel leaves no mark at the key of a running task, so that its holder never hears of it."""

from __future__ import annotations

from tests.chaos.broken.script import change

MARK = "redis.call('HSET', KEYS[2], 'c', n)"


def apply() -> None:
    """Take the mark out of the cancel script."""
    change("cancel", {MARK: ""})
