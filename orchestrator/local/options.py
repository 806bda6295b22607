"""What the local stack may be told through the environment."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.environment import setting


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """Settings of `orchestrator up`."""

    redis_server: str = field(
        default="auto",
        metadata=setting(
            "ORCHESTRATOR_REDIS_SERVER",
            "which redis-server the local stack runs: one on the PATH, the one of the package, "
            "or (auto) the first of these that is there",
            choices=("auto", "path", "package"),
        ),
    )
