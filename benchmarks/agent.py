"""The agent that the benchmarks drive: it does nothing, so that only the way there and back is measured."""

from __future__ import annotations

from typing import Any

from orchestrator import Agent

agent = Agent("bench", version="1")


@agent.task("noop", timeout_seconds=30, max_retries=0)
def noop(_task: Any, _parameters: dict[str, Any]) -> None:
    """Do nothing."""
