"""What keeps a local stack from starting, and what ends it."""

from __future__ import annotations

from orchestrator.errors import OrchestratorError


class StackError(OrchestratorError):
    """The local stack cannot be started; the message says what to do."""


class StopRequested(Exception):  # noqa: N818 - an order, not a fault
    """Somebody asked the stack to stop."""
