"""What Redis answers to the protocol's calls, as closed sets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Delivered(StrEnum):
    """What became of one publish."""

    QUEUED = "QUEUED"
    ALREADY = "ALREADY"
    """This delivery is on its list already."""
    HELD = "HELD"
    """An agent still runs an earlier delivery."""
    FULL = "FULL"
    """The list has its window of messages; the row waits in the ledger."""
    WAIT = "WAIT"
    """No epoch is blessed: Redis has just started or lost its memory."""
    STALE = "STALE"
    """Decided too long ago or in an earlier epoch."""
    REFUSED = "REFUSED"
    """A later delivery exists, or this one has ended."""


class Cancelled(StrEnum):
    """What became of a wish to cancel."""

    ENDED = "ENDED"
    MARKED = "MARKED"
    ALREADY_ENDED = "ALREADY_ENDED"
    MOVED = "MOVED"
    WAIT = "WAIT"


@dataclass(frozen=True, slots=True)
class CancelAnswer:
    """The answer to `cancel`; `delivery` is the later one when it is MOVED."""

    outcome: Cancelled
    delivery: int | None = None


class TakenBack(StrEnum):
    """What became of a take-back."""

    TAKEN = "TAKEN"
    ENDED = "ENDED"
    HELD = "HELD"
    MOVED = "MOVED"
    WAIT = "WAIT"


@dataclass(frozen=True, slots=True)
class TakeBackAnswer:
    """The answer to a take-back: the new delivery when TAKEN or MOVED, the holder when HELD."""

    outcome: TakenBack
    delivery: int | None = None
    token: str | None = None
    agent_id: str | None = None


class Claimed(StrEnum):
    """What became of a claim."""

    GRANTED = "GRANTED"
    REFUSED = "REFUSED"
    WAIT = "WAIT"


class Reported(StrEnum):
    """What became of a report."""

    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    WAIT = "WAIT"
