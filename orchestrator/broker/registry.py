"""The agents that Redis knows, as their last heartbeat left them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import RedisError

from orchestrator.broker import keys
from orchestrator.errors import BrokerUnavailableError

if TYPE_CHECKING:
    import redis

LATE_AFTER_INTERVALS = 2.0
"""A heartbeat that is later than this many intervals makes its agent degraded."""
STUCK_LOOP_SECONDS = 60.0
"""An agent whose main loop has not moved for so long is degraded, whatever its heartbeat thread says."""


class AgentStatus(StrEnum):
    """How an agent is, seen from outside."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DRAINING = "draining"
    PAUSED = "paused"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent: what it registered, and its last heartbeat."""

    agent_id: str
    incarnation: str
    record: dict[str, Any]
    status: AgentStatus
    seq: int
    run_id: str
    running: int
    load: dict[str, Any]
    in_hand: frozenset[str]
    """Tokens of the runs that it holds, claimed or about to be."""
    last_heartbeat_at: datetime
    draining: bool = False
    """Whether it said so in its last heartbeat, however long ago."""
    predecessor_drained: bool = False
    """Whether the incarnation whose name it took had said so."""

    def was_draining(self, incarnation: str | None) -> bool:
        """Whether this incarnation of the agent was being stopped when it was last heard of."""
        return self.draining if incarnation == self.incarnation else self.predecessor_drained

    @property
    def agent_type(self) -> str:
        """What kind of agent it is."""
        return str(self.record.get("agent_type", ""))

    @property
    def task_types(self) -> frozenset[str]:
        """What it can run."""
        return frozenset(item["task_type"] for item in self.record.get("capabilities", []))

    @property
    def live(self) -> bool:
        """Whether its heartbeats come."""
        return self.status is not AgentStatus.OFFLINE


def read_agents(client: redis.Redis, *, heartbeat_timeout_seconds: float) -> list[AgentView]:
    """Return every registered agent, in the order of their ids: two round trips, however many there are."""
    try:
        ids = sorted(cast("set[str]", client.smembers(keys.AGENTS)))
        with client.pipeline(transaction=False) as pipe:
            pipe.time()
            for agent_id in ids:
                pipe.hgetall(keys.agent_key(agent_id))
            (seconds, micros), *hashes = pipe.execute()
    except (RedisError, OSError) as error:
        raise BrokerUnavailableError(f"Redis does not answer: {error}") from error
    now_ms = seconds * 1000 + micros / 1000
    return [
        _view(agent_id, fields, now_ms, heartbeat_timeout_seconds)
        for agent_id, fields in zip(ids, hashes, strict=True)
        if fields
    ]


def _view(agent_id: str, fields: dict[str, str], now_ms: float, timeout_seconds: float) -> AgentView:
    record = json.loads(fields["record"])
    load = json.loads(fields["load"] or "{}")
    at_ms = float(fields["at"])
    return AgentView(
        agent_id=agent_id,
        incarnation=fields["incarnation"],
        record=record,
        status=_status(fields["status"], load, (now_ms - at_ms) / 1000, record, timeout_seconds),
        seq=int(fields["seq"]),
        run_id=fields["run_id"],
        running=int(fields["running"]),
        load=load,
        in_hand=frozenset(fields["in_hand"].split()),
        last_heartbeat_at=datetime.fromtimestamp(at_ms / 1000, UTC),
        draining=fields["status"] == AgentStatus.DRAINING,
        predecessor_drained=fields.get("before") == AgentStatus.DRAINING,
    )


def _status(
    said: str, load: dict[str, Any], age_seconds: float, record: dict[str, Any], timeout_seconds: float
) -> AgentStatus:
    if age_seconds > timeout_seconds:
        return AgentStatus.OFFLINE
    if said != AgentStatus.HEALTHY:
        return AgentStatus(said)
    interval = float(record.get("heartbeat_interval_seconds", timeout_seconds / 3))
    late = age_seconds > interval * LATE_AFTER_INTERVALS
    stuck = float(load.get("loop_age_seconds", 0.0)) > STUCK_LOOP_SECONDS
    return AgentStatus.DEGRADED if late or stuck else AgentStatus.HEALTHY
