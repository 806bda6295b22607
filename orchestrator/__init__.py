"""The task orchestrator: HTTP in, Celery out, nothing lost.

What people write against: `Agent`, and the two instructions a handler may raise.
"""

from orchestrator.agent import Agent
from orchestrator.errors import PermanentError, RetryLater

__all__ = ["Agent", "PermanentError", "RetryLater"]
