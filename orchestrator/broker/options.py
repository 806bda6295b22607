"""How Redis is reached, and what everybody who speaks through it must agree upon."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from orchestrator.environment import setting

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """Settings of the broker; agents, API and controller must share the timeouts and limits."""

    redis_url: str = field(
        default=DEFAULT_REDIS_URL,
        repr=False,
        metadata=setting("REDIS_URL", "Redis, as redis://, rediss:// or unix://", secret=True),
    )
    heartbeat_timeout_seconds: float = field(
        default=10.0,
        metadata=setting(
            "HEARTBEAT_TIMEOUT",
            "seconds of silence after which an agent is offline and its tasks run again",
            low=2,
            high=3600,
        ),
    )
    hard_limit_grace_seconds: float = field(
        default=5.0,
        metadata=setting(
            "ORCHESTRATOR_HARD_LIMIT_GRACE",
            "seconds between a task's soft limit, which its handler may catch, and the hard one, which kills",
            low=0.5,
            high=600,
        ),
    )
    queue_window: int = field(
        default=10_000,
        metadata=setting(
            "ORCHESTRATOR_QUEUE_WINDOW",
            "tasks that wait in one Redis list at most; the rest waits in the ledger",
            low=1,
            high=1_000_000,
        ),
    )
    connect_timeout_seconds: float = field(
        default=0.5,
        metadata=setting(
            "ORCHESTRATOR_REDIS_CONNECT_TIMEOUT", "seconds to connect to Redis", low=0.05, high=60
        ),
    )
    command_timeout_seconds: float = field(
        default=0.5,
        metadata=setting(
            "ORCHESTRATOR_REDIS_TIMEOUT", "seconds that a publish waits for Redis", low=0.05, high=60
        ),
    )


def with_redis_url(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with REDIS_URL, made of REDIS_ADDR (host:port) and REDIS_PASSWORD if absent."""
    filled = dict(environ)
    address = filled.get("REDIS_ADDR", "")
    if not filled.get("REDIS_URL") and address:
        password = filled.get("REDIS_PASSWORD", "")
        credentials = f":{quote(password, safe='')}@" if password else ""
        filled["REDIS_URL"] = f"redis://{credentials}{address}/0"
    return filled
