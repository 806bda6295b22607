"""Why a task has not started: the closed set of answers to "what is it waiting for?"."""

from __future__ import annotations

from enum import StrEnum


class WaitingFor(StrEnum):
    """The one reason that keeps an unfinished task from starting now."""

    BROKER = "broker"
    NO_LIVE_AGENT = "no_live_agent"
    AGENTS_DRAINING = "agents_draining"
    AGENTS_BUSY = "agents_busy"
    PINNED_AGENT_AWAY = "pinned_agent_away"
    QUEUE_PAUSED = "queue_paused"
    NOT_DUE = "not_due"
    TENANT_LIMIT = "tenant_limit"
