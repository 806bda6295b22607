"""Ledger rows and agents for tests that need no server."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from orchestrator.broker.registry import AgentStatus, AgentView
from orchestrator.ledger.rows import TaskRow
from orchestrator.tasks.status import Status

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def task_row(**changes: Any) -> TaskRow:
    """Return a pending task of probe.anything."""
    values: dict[str, Any] = dict.fromkeys(TaskRow.__dataclass_fields__)
    values |= {
        "id": uuid.uuid4(),
        "tenant": "default",
        "agent_type": "probe",
        "task_type": "anything",
        "parameters_json": "{}",
        "status": Status.PENDING,
        "publish_at": NOW,
        "created_at": NOW,
    }
    return TaskRow(**{**values, **changes})


def agent_view(agent_id: str = "probe-1", *, task_type: str = "anything", **changes: Any) -> AgentView:
    """Return a healthy agent of type probe with two free slots."""
    record = {"agent_type": "probe", "slots": 2, "capabilities": [{"task_type": task_type}]}
    values: dict[str, Any] = {
        "agent_id": agent_id,
        "incarnation": "i",
        "record": record,
        "status": AgentStatus.HEALTHY,
        "seq": 1,
        "run_id": "r",
        "running": 0,
        "load": {},
        "in_hand": frozenset(),
        "last_heartbeat_at": NOW,
    }
    return AgentView(**{**values, **changes})
