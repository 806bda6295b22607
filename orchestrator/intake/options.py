"""What an API process lets in at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.environment import setting


@dataclass(frozen=True, slots=True)
class IntakeOptions:
    """Bounds of one API process; every queue and cache of the intake has one."""

    request_seconds: float = field(
        default=1.5,
        metadata=setting(
            "ORCHESTRATOR_REQUEST_BUDGET",
            "seconds that one request may spend on the ledger before it is answered 503",
            low=0.2,
            high=30,
        ),
    )
    queue_length: int = field(
        default=2000,
        metadata=setting(
            "ORCHESTRATOR_INTAKE_QUEUE",
            "submissions of one API process that may wait for a commit; more are answered 503",
            low=1,
            high=100_000,
        ),
    )
    batch_rows: int = field(
        default=500,
        metadata=setting("ORCHESTRATOR_INTAKE_BATCH", "submissions in one commit, at most", low=1, high=1000),
    )
    waiters: int = field(
        default=1000,
        metadata=setting(
            "ORCHESTRATOR_WAITERS",
            "requests of one API process that may be held by ?wait=",
            low=1,
            high=50_000,
        ),
    )
