"""The events of the stream, read strictly: what does not fit is set aside with its reason."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from orchestrator.broker.stream import Entry

FORMAT_VERSION = "1"
UNRECORDABLE = "unrecordable_result"
MAX_REASON_CHARACTERS = 2000


class EventType(StrEnum):
    """What an event tells."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    LOST = "lost"
    CANCELLED = "cancelled"
    PROGRESS = "progress"
    LOG = "log"
    REGISTERED = "registered"
    LEFT = "left"


AGENT_EVENTS = frozenset({EventType.REGISTERED, EventType.LEFT})
OUTCOMES = frozenset(
    {EventType.COMPLETED, EventType.FAILED, EventType.TIMEOUT, EventType.LOST, EventType.CANCELLED}
)


class BadEventError(Exception):
    """An entry of the stream that cannot be read."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; task events carry a task id, agent events an agent id and incarnation."""

    entry_id: str
    type: EventType
    task_id: uuid.UUID | None
    delivery: int
    token: str
    agent_id: str
    incarnation: str
    seconds_ago: float
    payload: dict[str, Any]


def parse(entry: Entry, *, now_ms: int) -> Event:
    """Read one entry. Raises BadEventError with the reason."""
    fields = entry.fields
    if fields.get("v") != FORMAT_VERSION:
        raise BadEventError(f"event format {fields.get('v')!r} is not known to this controller")
    try:
        kind = EventType(fields["e"])
        payload = json.loads(fields["p"] or "{}")
        if not isinstance(payload, dict):
            raise BadEventError("the payload is not an object")
        return Event(
            entry_id=entry.id,
            type=kind,
            task_id=None if kind in AGENT_EVENTS else uuid.UUID(fields["id"]),
            delivery=int(fields["n"]),
            token=fields["k"],
            agent_id=fields["a"],
            incarnation=fields["i"],
            seconds_ago=max(0.0, (now_ms - int(fields["t"])) / 1000),
            payload=payload,
        )
    except (KeyError, ValueError, RecursionError) as error:
        raise BadEventError(f"{type(error).__name__}: {error}") from error


def unrecordable(entry: Entry, *, now_ms: int, reason: str) -> Event | None:
    """Return the failure that stands for an outcome which cannot be recorded; None for any other event.

    Only who ran what is believed of the entry, so that its task ends whatever the rest says.
    """
    fields = entry.fields
    if fields.get("e") not in OUTCOMES:
        return None
    payload = {
        "error": f"the outcome cannot be stored: {reason}"[:MAX_REASON_CHARACTERS],
        "code": UNRECORDABLE,
        "retryable": False,
    }
    believed = {
        **fields,
        "v": FORMAT_VERSION,
        "e": EventType.FAILED,
        "p": json.dumps(payload),
        "t": str(now_ms),
    }
    try:
        return parse(Entry(entry.id, believed), now_ms=now_ms)
    except BadEventError:
        return None
