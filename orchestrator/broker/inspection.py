"""What the reconciler asks of Redis: epochs, lost messages, and whether a task's key still stands."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import RedisError

from orchestrator.broker import keys, scripts
from orchestrator.broker.announcements import announce
from orchestrator.broker.connection import ServerClock, connect
from orchestrator.broker.registry import read_agents
from orchestrator.broker.scripts import Call
from orchestrator.errors import BrokerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.broker.options import BrokerOptions
    from orchestrator.broker.registry import AgentView

TIMEOUT_SECONDS = 2.0
LOST_LIMIT = 1000
REPORT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class EpochView:
    """The epoch as it stands: `blessed` when it names the server that is running now."""

    text: str
    run_id: str

    @property
    def blessed(self) -> bool:
        """Whether the leader has blessed the server that is running now."""
        return bool(self.text) and self.text.endswith(self.run_id)


@dataclass(frozen=True, slots=True)
class KeyView:
    """A task's key: the delivery it knows and its state, or None for both."""

    delivery: int | None
    state: str | None


class Inspector:
    """The leader's view of Redis. Every call raises BrokerUnavailableError when Redis is away."""

    def __init__(self, options: BrokerOptions) -> None:
        self._options = options
        self._client: Any = connect(options, ServerClock(), command_timeout_seconds=TIMEOUT_SECONDS)

    def epoch(self) -> EpochView:
        """Return the present epoch and the run id of the server."""
        try:
            with self._client.pipeline(transaction=False) as pipe:
                pipe.get(keys.EPOCH)
                pipe.info("server")
                text, info = pipe.execute()
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return EpochView(text or "", str(info["run_id"]))

    def bless(self, seen: EpochView) -> None:
        """Begin a new epoch for the server that was seen, unless somebody else has."""
        new = f"{uuid.uuid4().hex}:{seen.run_id}"
        scripts.run(self._client, Call(scripts.load("bless"), [], [seen.text, new]))

    def agents(self) -> list[AgentView]:
        """Return every registered agent."""
        return read_agents(self._client, heartbeat_timeout_seconds=self._options.heartbeat_timeout_seconds)

    def forget(self, agents: Sequence[AgentView]) -> None:
        """Take these incarnations out of the registry, as if they had left; a beat registers again."""
        scripts.run_all(
            self._client,
            [
                Call(
                    scripts.load("leave"),
                    [keys.agent_key(agent.agent_id), keys.EVENTS, keys.AGENTS],
                    [agent.incarnation, agent.agent_id],
                )
                for agent in agents
            ],
        )

    def lost_messages(self) -> set[str]:
        """Return ids of tasks whose message was popped and not claimed, as it looks at this moment."""
        lost: set[str] = set()
        try:
            names = sorted(cast("set[str]", self._client.smembers(keys.LISTS)))
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        calls = [Call(scripts.load("lost"), [name, keys.waiting_key(name)], [LOST_LIMIT]) for name in names]
        for found in scripts.run_all(self._client, calls):
            lost.update(found)
        return lost

    def keys_of(self, task_ids: Sequence[str]) -> list[KeyView]:
        """Return the keys of these tasks, in order."""
        try:
            with self._client.pipeline(transaction=False) as pipe:
                for task_id in task_ids:
                    pipe.hmget(keys.task_key(task_id), "d", "s")
                rows = pipe.execute()
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return [KeyView(int(delivery) if delivery else None, state) for delivery, state in rows]

    def announce(self, ids: Iterable[str], *, reread_all: bool = False) -> None:
        """Tell the API processes which tasks have ended."""
        announce(self._client, ids, reread_all=reread_all)

    def backlog(self) -> int:
        """Return how many events wait for the recorder."""
        try:
            return int(self._client.xlen(keys.EVENTS))
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    def write_report(self, report: dict[str, Any]) -> None:
        """Leave the last report of each pass where `/health/system` reads it."""
        try:
            self._client.set(keys.CONTROLLER, json.dumps(report), ex=REPORT_SECONDS)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


def _unavailable(error: Exception) -> BrokerUnavailableError:
    return BrokerUnavailableError(f"Redis does not answer: {error}")
