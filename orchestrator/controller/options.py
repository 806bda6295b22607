"""What the controller may be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.environment import setting


@dataclass(frozen=True, slots=True)
class ControllerOptions:
    """Settings of the controller."""

    max_worker_losses: int = field(
        default=3,
        metadata=setting(
            "MAX_WORKER_LOSSES", "deaths of its process after which a task fails as poison", low=1, high=100
        ),
    )
    lease_seconds: float = field(
        default=5.0,
        metadata=setting(
            "ORCHESTRATOR_LEADER_LEASE",
            "seconds without a sign of the leading controller after which a standby takes over",
            low=2,
            high=300,
        ),
    )
