"""What one agent process may be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.environment import setting


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """Settings of an agent's worker."""

    heartbeat_interval_seconds: float | None = field(
        default=None,
        metadata=setting(
            "HEARTBEAT_INTERVAL",
            "seconds between two heartbeats; a third of HEARTBEAT_TIMEOUT if not given",
            low=0.2,
            high=1200,
        ),
    )
    result_limit_bytes: int = field(
        default=1_048_576,
        metadata=setting("ORCHESTRATOR_RESULT_LIMIT", "bytes of a result's JSON", low=1024, high=67_108_864),
    )

    def interval_seconds(self, heartbeat_timeout_seconds: float) -> float:
        """Return the time between two heartbeats: three in a timeout unless it was set."""
        return self.heartbeat_interval_seconds or heartbeat_timeout_seconds / 3
