"""Why a task has not started: decided from its row and the agents that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.broker.registry import AgentStatus
from orchestrator.tasks.status import Status
from orchestrator.tasks.waiting import WaitingFor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from orchestrator.broker.registry import AgentView
    from orchestrator.ledger.tasks import TaskRow

_NOT_STARTED = frozenset({Status.PENDING, Status.QUEUED, Status.RETRYING})
_WORKING = frozenset({AgentStatus.HEALTHY, AgentStatus.DEGRADED})


def waiting_reason(task: TaskRow, agents: Sequence[AgentView] | None, now: datetime) -> WaitingFor | None:
    """Return what keeps the task from starting, or None when it has started, ended, or is about to start.

    `agents` is None while the broker is away.
    """
    if task.status not in _NOT_STARTED:
        return None
    if _not_due(task, now):
        return WaitingFor.NOT_DUE
    if agents is None:
        return WaitingFor.BROKER
    if task.pinned_agent_id and task.pin != "prefer":
        candidates = [agent for agent in agents if agent.agent_id == task.pinned_agent_id and agent.live]
        if not candidates:
            return WaitingFor.PINNED_AGENT_AWAY
    else:
        candidates = [agent for agent in agents if agent.live and _offers(agent, task)]
    return _reason_of(candidates)


def _not_due(task: TaskRow, now: datetime) -> bool:
    if task.status is Status.QUEUED:
        return False
    if task.status is Status.RETRYING:
        return task.publish_at > now
    return task.run_at is not None and task.run_at > now


def _offers(agent: AgentView, task: TaskRow) -> bool:
    return agent.agent_type == task.agent_type and task.task_type in agent.task_types


def _reason_of(candidates: Sequence[AgentView]) -> WaitingFor | None:
    if not candidates:
        return WaitingFor.NO_LIVE_AGENT
    working = [agent for agent in candidates if agent.status in _WORKING]
    if not working:
        paused = any(agent.status is AgentStatus.PAUSED for agent in candidates)
        return WaitingFor.QUEUE_PAUSED if paused else WaitingFor.AGENTS_DRAINING
    if all(agent.running >= int(agent.record.get("slots") or 1) for agent in working):
        return WaitingFor.AGENTS_BUSY
    return None
