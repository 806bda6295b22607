"""The orchestrator's side of Redis: publish, cancel, take back, and look."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import RedisError

from orchestrator.broker import keys, scripts
from orchestrator.broker.announcements import Announcements
from orchestrator.broker.answers import CancelAnswer, Cancelled, Delivered, TakeBackAnswer, TakenBack
from orchestrator.broker.connection import ServerClock, connect
from orchestrator.broker.messages import encode
from orchestrator.broker.registry import read_agents
from orchestrator.broker.scripts import Call
from orchestrator.errors import BrokerUnavailableError
from orchestrator.tasks.routing import Band, list_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.broker.options import BrokerOptions
    from orchestrator.broker.registry import AgentView
    from orchestrator.tasks.state import Publishable

MAX_PUBLISH_AGE_MS = 5000
"""A publish decided longer ago is refused: less than an ended key lives, so that it can never run twice."""
RESERVATION_SECONDS = 60
PUBLISH_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Decision:
    """When, in Redis' own time, and in which epoch something was decided."""

    epoch: str
    at_ms: int


class Broker:
    """One process' dealings with Redis, each bounded by `command_timeout_seconds` and sent once."""

    def __init__(self, options: BrokerOptions, *, command_timeout_seconds: float | None = None) -> None:
        self._options = options
        self._clock = ServerClock()
        self._client = connect(options, self._clock, command_timeout_seconds=command_timeout_seconds)
        self._epoch = ""
        self._available = True

    @property
    def available(self) -> bool:
        """False from a failure until something succeeds again."""
        return self._available

    @property
    def client(self) -> Any:
        """The bounded Redis client, for the controller's and the tests' own reading."""
        return self._client

    def probe(self) -> bool:
        """Ask Redis for a sign of life and note the answer, the present epoch too."""
        try:
            with self._watching():
                self._epoch = cast("str | None", self._client.get(keys.EPOCH)) or ""
        except BrokerUnavailableError:
            return False
        return True

    def ping(self) -> float:
        """Return the seconds that one round trip takes. Raises BrokerUnavailableError."""
        started = time.monotonic()
        with self._watching():
            self._client.ping()
        return time.monotonic() - started

    def decided(self) -> Decision:
        """Note the moment of a decision to publish or repair, before the ledger is read or written for it."""
        if not self._epoch and self._available:
            self.probe()
        return Decision(self._epoch, self._clock.now_ms())

    def publish(self, items: Sequence[Publishable], *, decision: Decision | None = None) -> list[Delivered]:
        """Put each row's present delivery on its list, in one round trip for every PUBLISH_CHUNK.

        Never repeated: raises BrokerUnavailableError within the bound, at once while Redis is known to be
        away; the rows then wait in the ledger for the controller.
        """
        if not self._available:
            raise BrokerUnavailableError("Redis is known to be away")
        decision = decision or self.decided()
        answers: list[Delivered] = []
        for start in range(0, len(items), PUBLISH_CHUNK):
            chunk = items[start : start + PUBLISH_CHUNK]
            with self._watching():
                results = scripts.run_all(self._client, [self._deliver(item, decision) for item in chunk])
            self._note_epoch(results[-1])
            answers += [Delivered(result[0]) for result in results]
        return answers

    def _deliver(self, item: Publishable, decision: Decision) -> Call:
        message = encode(item, hard_limit_grace_seconds=self._options.hard_limit_grace_seconds)
        task_id, name = str(item.id), message.list_name
        return Call(
            scripts.load("deliver"),
            [keys.task_key(task_id), name, keys.waiting_key(name), keys.EVENTS, keys.SEQUENCE, keys.LISTS],
            [
                decision.epoch,
                decision.at_ms,
                MAX_PUBLISH_AGE_MS,
                task_id,
                item.delivery,
                message.text,
                self._options.queue_window,
            ],
        )

    def _note_epoch(self, result: list[str]) -> None:
        self._epoch = result[1]
        if result[0] == Delivered.STALE:
            self._clock.heard(float(result[2]))

    def cancel(self, task_id: str, delivery: int) -> CancelAnswer:
        """End this delivery if nobody holds it, else tell its holder. Raises BrokerUnavailableError."""
        call = Call(scripts.load("cancel"), [keys.task_key(task_id), keys.EVENTS], [task_id, delivery])
        with self._watching():
            outcome, moved, _ = scripts.run(self._client, call)
        return CancelAnswer(Cancelled(outcome), int(moved) if moved else None)

    def take_back(
        self, items: Sequence[tuple[str, int, str | None]], *, decision: Decision
    ) -> list[TakeBackAnswer]:
        """Take deliveries (task id, delivery, token that lost it) out of everybody's reach.

        Raises BrokerUnavailableError.
        """
        calls = [
            Call(
                scripts.load("take_back"),
                [keys.task_key(task_id), keys.EVENTS],
                [decision.epoch, task_id, delivery, token or "", RESERVATION_SECONDS],
            )
            for task_id, delivery, token in items
        ]
        with self._watching():
            return [_take_back_answer(result) for result in scripts.run_all(self._client, calls)]

    def agents(self) -> list[AgentView]:
        """Return every registered agent. Raises BrokerUnavailableError."""
        with self._watching():
            return read_agents(
                self._client, heartbeat_timeout_seconds=self._options.heartbeat_timeout_seconds
            )

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        """Return how many tasks wait in each queue, over all its bands. Raises BrokerUnavailableError."""
        with self._watching(), self._client.pipeline(transaction=False) as pipe:
            for queue in queues:
                for band in Band:
                    pipe.zcard(keys.waiting_key(list_key(queue, band)))
            counts = cast("list[int]", pipe.execute())
        bands = len(Band)
        return {queue: sum(counts[i * bands : (i + 1) * bands]) for i, queue in enumerate(queues)}

    def stream_length(self) -> int:
        """Return how many events wait for the recorder. Raises BrokerUnavailableError."""
        with self._watching():
            return int(self._client.xlen(keys.EVENTS))

    def controller_report(self) -> dict[str, Any] | None:
        """Return what the leading controller last said of its passes. Raises BrokerUnavailableError."""
        with self._watching():
            text = self._client.get(keys.CONTROLLER)
        return cast("dict[str, Any]", json.loads(text)) if text else None

    def announcements(self) -> Announcements:
        """Return a new listener for tasks that have ended."""
        return Announcements(connect(self._options, ServerClock()))

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    @contextmanager
    def _watching(self) -> Iterator[None]:
        try:
            yield
        except (BrokerUnavailableError, RedisError, OSError) as error:
            self._available = False
            if isinstance(error, BrokerUnavailableError):
                raise
            raise BrokerUnavailableError(f"Redis does not answer: {error}") from error
        self._available = True


def _take_back_answer(result: list[str]) -> TakeBackAnswer:
    outcome = TakenBack(result[0])
    match outcome:
        case TakenBack.TAKEN | TakenBack.MOVED:
            return TakeBackAnswer(outcome, delivery=int(result[1]))
        case TakenBack.HELD:
            return TakeBackAnswer(outcome, token=result[1], agent_id=result[2])
        case TakenBack.ENDED | TakenBack.WAIT:
            return TakeBackAnswer(outcome)
