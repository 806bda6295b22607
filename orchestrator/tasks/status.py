"""The life of a task: its statuses and the one table of moves between them."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Where a task is. `sent`: in the hands of an agent that has not begun it."""

    PENDING = "pending"
    QUEUED = "queued"
    SENT = "sent"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    RETRYING = "retrying"
    CANCELLED = "cancelled"


TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.TIMEOUT, Status.CANCELLED})
UNFINISHED = frozenset(Status) - TERMINAL

_ENDINGS = frozenset(TERMINAL)

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.QUEUED, Status.SENT, Status.RUNNING, Status.RETRYING}) | _ENDINGS,
    Status.QUEUED: frozenset({Status.PENDING, Status.SENT, Status.RUNNING, Status.RETRYING}) | _ENDINGS,
    Status.SENT: frozenset({Status.PENDING, Status.RUNNING, Status.RETRYING}) | _ENDINGS,
    Status.RUNNING: frozenset({Status.PENDING, Status.RETRYING}) | _ENDINGS,
    Status.RETRYING: frozenset({Status.PENDING, Status.QUEUED, Status.SENT, Status.RUNNING}) | _ENDINGS,
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset({Status.PENDING}),
    Status.TIMEOUT: frozenset({Status.PENDING}),
    Status.CANCELLED: frozenset({Status.PENDING}),
}
"""From each status, the ones that may follow.

An unfinished task may end from anywhere, because events may be lost on the way (Redis forgot `running`, the
outcome came all the same). A return to `pending` is a repair, and from a failed end a replay, which starts a
new series.
"""


def can_move(source: Status, target: Status) -> bool:
    """Whether a task may go from `source` to `target`."""
    return target in TRANSITIONS[source]


def sources_of(target: Status) -> frozenset[Status]:
    """Every status from which `target` may follow."""
    return frozenset(source for source, targets in TRANSITIONS.items() if target in targets)


def repairable_from() -> frozenset[Status]:
    """Return the statuses that a repair may take back to `pending`: it never touches what has ended."""
    return sources_of(Status.PENDING) & UNFINISHED
