"""How PostgreSQL is reached."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.environment import setting


@dataclass(frozen=True, slots=True)
class LedgerOptions:
    """Settings of the ledger."""

    database_url: str = field(
        repr=False,
        metadata=setting(
            "DATABASE_URL", "PostgreSQL, as postgresql://user:password@host:port/name", secret=True
        ),
    )
    pool_size: int = field(
        default=8,
        metadata=setting(
            "ORCHESTRATOR_DATABASE_POOL", "connections of one process to PostgreSQL", low=1, high=100
        ),
    )
    timeout_seconds: float = field(
        default=1.5,
        metadata=setting(
            "ORCHESTRATOR_DATABASE_TIMEOUT",
            "seconds for one transaction, from checkout to commit",
            low=0.1,
            high=60,
        ),
    )
