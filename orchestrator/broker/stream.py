"""The event stream, as the recorder reads it: from its beginning, because what is recorded is trimmed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from orchestrator.broker import keys, scripts
from orchestrator.broker.answers import Cancelled
from orchestrator.broker.connection import ServerClock, connect
from orchestrator.broker.scripts import Call
from orchestrator.errors import BrokerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.broker.options import BrokerOptions

READ_TIMEOUT_SECONDS = 5.0
ENDED_KEY_SECONDS = 120
"""How long the key of a recorded end lives: longer than any publish that could run it again may be late."""
MAX_BATCH = 1000
MAX_BATCH_BYTES = 8 * 1024 * 1024
"""More is read at a time only where one event is larger: a backlog of large results must fit into memory."""
FIRST_BATCH = 8
"""Events that are taken unmeasured, because they came while the stream was empty."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One raw event: its stream id and its fields."""

    id: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read found; `stream` names the life of the stream that it came from."""

    stream: str
    entries: list[Entry]
    now_ms: int
    """Redis' time when it was read."""


def stream_order(entry_id: str) -> tuple[int, int]:
    """Return a stream id as numbers that sort in the order of arrival."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


class EventStream:
    """One reader of the stream. Every call raises BrokerUnavailableError when Redis is away."""

    def __init__(self, options: BrokerOptions) -> None:
        self._clock = ServerClock()
        self._client = connect(options, self._clock, command_timeout_seconds=READ_TIMEOUT_SECONDS)

    def read(self, *, block_seconds: float) -> Batch:
        """Return the oldest events; wait up to `block_seconds` (below READ_TIMEOUT_SECONDS) for the first."""
        try:
            stream = self._name()
            count = self._measure()
            block = None if count else int(block_seconds * 1000)
            answer: Any = self._client.xread({keys.EVENTS: "0"}, count=count or FIRST_BATCH, block=block)
        except (RedisError, OSError) as error:
            raise BrokerUnavailableError(f"Redis does not answer: {error}") from error
        raw = answer[0][1] if answer else []
        return Batch(stream, [Entry(entry_id, fields) for entry_id, fields in raw], self._clock.now_ms())

    def _name(self) -> str:
        stream: Any = self._client.get(keys.STREAM)
        if not stream:
            self._client.set(keys.STREAM, secrets.token_hex(8), nx=True)
            stream = self._client.get(keys.STREAM)
        return str(stream)

    def _measure(self) -> int:
        bounds = [MAX_BATCH, MAX_BATCH_BYTES, FIRST_BATCH]
        return int(scripts.run(self._client, Call(scripts.load("measure"), [keys.EVENTS], bounds))[0])

    def settle(self, entry_ids: Sequence[str], ended: Sequence[tuple[str, int]]) -> None:
        """Trim what is recorded, and let the keys of recorded ends (task id, delivery) expire."""
        arguments: list[str | int] = [ENDED_KEY_SECONDS, len(entry_ids), *entry_ids]
        for task_id, delivery in ended:
            arguments += [task_id, delivery]
        scripts.run(self._client, Call(scripts.load("settle"), [keys.EVENTS], arguments))

    def stop_runs(self, runs: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Have runs (task id, delivery) stopped by whoever holds them; return those it is too early for."""
        calls = [
            Call(scripts.load("cancel"), [keys.task_key(task_id), keys.EVENTS], [task_id, delivery])
            for task_id, delivery in runs
        ]
        answers = scripts.run_all(self._client, calls)
        return [run for run, answer in zip(runs, answers, strict=True) if answer[0] == Cancelled.WAIT]

    def tail(self) -> str | None:
        """Return the id of the newest event, or None where all is recorded."""
        try:
            newest: Any = self._client.xrevrange(keys.EVENTS, count=1)
        except (RedisError, OSError) as error:
            raise BrokerUnavailableError(f"Redis does not answer: {error}") from error
        return str(newest[0][0]) if newest else None

    def close(self) -> None:
        """Close every connection."""
        self._client.close()
