"""Queues and priority bands: which list of Redis a task waits in."""

from __future__ import annotations

from enum import IntEnum

PRIORITY_SEPARATOR = ":"
PRIVATE_QUEUE_PREFIX = "agent."


class Band(IntEnum):
    """A priority band; its value is kombu's step, of which 0 is served first."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


PRIORITY_STEPS = [int(band) for band in Band]


def band_of(priority: int) -> Band:
    """Return the band of a priority of 1 to 15: critical 15, high 10 to 14, normal 5 to 9, low 1 to 4."""
    if priority >= 15:  # noqa: PLR2004 - the bounds are the contract's own
        return Band.CRITICAL
    if priority >= 10:  # noqa: PLR2004
        return Band.HIGH
    return Band.NORMAL if priority >= 5 else Band.LOW  # noqa: PLR2004


def capability_queue(agent_type: str, task_type: str) -> str:
    """Return the queue in which every agent of this type with this capability takes part."""
    return f"{agent_type}.{task_type}"


def private_queue(agent_id: str) -> str:
    """Return the queue of tasks pinned to one agent."""
    return f"{PRIVATE_QUEUE_PREFIX}{agent_id}"


def queue_of(agent_type: str, task_type: str, pinned_agent_id: str | None) -> str:
    """Return the queue that a task belongs in."""
    return private_queue(pinned_agent_id) if pinned_agent_id else capability_queue(agent_type, task_type)


def list_key(queue: str, band: Band) -> str:
    """Return the Redis list in which kombu keeps this band of the queue: the plain name is step 0."""
    return queue if band is Band.CRITICAL else f"{queue}{PRIORITY_SEPARATOR}{int(band)}"
