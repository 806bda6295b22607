"""How long one request may still take: set once when it arrives, handed to every step."""

from __future__ import annotations

import time
from dataclasses import dataclass

from orchestrator.errors import LedgerUnavailableError


@dataclass(frozen=True, slots=True)
class Budget:
    """A moment of the monotonic clock at which the request must have its answer."""

    ends_at: float

    @classmethod
    def of(cls, seconds: float) -> Budget:
        """Return a budget that begins now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Return the seconds that are left, never less than 0."""
        return max(0.0, self.ends_at - time.monotonic())

    def require(self) -> float:
        """Return the seconds that are left; LedgerUnavailableError if there are none."""
        left = self.remaining()
        if left <= 0:
            raise LedgerUnavailableError("the ledger did not answer in time")
        return left
