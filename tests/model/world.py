"""One task and everything that can happen to it: the state of the model, its rules, and its budget of faults.

Two agents, any number of reconcilers of which some may be stale, a recorder that lags as long as it likes,
and an API process that may die between commit and publish. Times do not exist: whatever can happen next may
happen next.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Rules(NamedTuple):
    """The rules of the protocol; each can be taken away to see what it is for."""

    strict_claim: bool = True
    """A claim is granted only if Redis' key is exactly (this delivery, queued)."""
    pending_keeps_its_number: bool = True
    """A row that is still pending is published again under the same delivery."""
    take_back_first: bool = True
    """A repair asks Redis before it writes the ledger."""
    outcome_needs_token: bool = True
    """Redis accepts an outcome only from the token that holds the key."""
    settle_after_loss: bool = True
    """After Redis lost its memory the reconciler waits until every live agent has beaten."""
    refuse_until_settled: bool = True
    """Until then claims and publishes are refused."""
    list_what_is_popped: bool = True
    """A heartbeat lists also what an agent has popped and not begun."""
    beat_keeps_and_kills: bool = True
    """A heartbeat re-creates the key of what runs, and stops what Redis says is another's."""
    leases: bool = True
    """An agent that cannot beat stops its (exclusive) run before its task is given away."""
    barrier: bool = True
    """A repair is decided only when the recorder has passed what was in the stream."""
    two_beats: bool = True
    """"Alive but no longer runs it" needs two heartbeats that begun after the row was seen."""
    publishes_age: bool = True
    """Redis refuses a publish that was decided so long ago that the key of an end may have expired."""
    epochs: bool = True
    """Redis refuses what was decided before it lost its memory."""
    beat_announces: bool = True
    """A heartbeat that re-creates a key also announces `running` again."""
    ended_keys_stay: bool = True
    """The key of an end lives until the recorder has committed it."""


class Faults(NamedTuple):
    """How often each fault may strike."""

    flush: int = 0
    crash: int = 0
    cut: int = 0
    rollback: int = 0


class Doing(StrEnum):
    """What an agent does."""

    IDLE = "idle"
    POPPED = "popped"
    RUNNING = "running"
    DEAD = "dead"


class Agent(NamedTuple):
    """One agent: what it does with which delivery under which token, and whether it is cut off from Redis."""

    doing: Doing = Doing.IDLE
    delivery: int = 0
    token: int = -1
    cut: bool = False


class Beats(NamedTuple):
    """An agent's heartbeats: what the last one listed, and what the one on its way lists (None: none is).

    A list is a token when the agent runs, -delivery when it has popped, NOTHING otherwise. Tokens begin at 1.
    """

    listed: int = 0
    on_its_way: int | None = None


NOTHING = 0


class Row(NamedTuple):
    """The ledger's row."""

    status: str = "pending"
    delivery: int = 1
    token: int = -1


class Key(NamedTuple):
    """Redis' key of the task."""

    delivery: int
    state: str
    token: int = -1


class Event(NamedTuple):
    """One entry of the stream."""

    kind: str
    delivery: int
    token: int = -1


class Step(StrEnum):
    """Where a reconciler is with its repair."""

    IDLE = "idle"
    WATCHING = "watching"
    DECIDED = "decided"
    TAKEN = "taken back"
    WRITTEN = "written"
    REPUBLISHING = "republishing"


class Plan(NamedTuple):
    """A reconciler's repair; `count` is the barrier (events to wait for) or the beats that it has watched."""

    step: Step = Step.IDLE
    status: str = ""
    delivery: int = 0
    token: int = -1
    count: int = 0
    stale: bool = False
    """Decided before Redis lost its memory, or too long ago."""


class World(NamedTuple):
    """One state of everything."""

    row: Row = Row()
    key: Key | None = None
    queue: tuple[int, ...] = ()
    stream: tuple[Event, ...] = ()
    agents: tuple[Agent, ...] = (Agent(), Agent())
    beats: tuple[Beats, ...] = (Beats(), Beats())
    unheard: frozenset[int] = frozenset()
    """Agents that have not beaten since Redis lost its memory."""
    api: str = "to publish"
    plans: tuple[Plan, ...] = (Plan(),)
    faults: Faults = Faults()
    saved: tuple[Key | None, tuple[int, ...], tuple[Event, ...]] | None = None
    """What of Redis would come back after a rollback."""
    starts: int = 0


class Transition(NamedTuple):
    """Something that can happen: what it is called, what comes of it, and whether it is a fault."""

    label: str
    world: World
    is_fault: bool = False
