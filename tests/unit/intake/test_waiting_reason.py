from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.broker.registry import AgentStatus
from orchestrator.intake.waiting_reason import waiting_reason
from orchestrator.tasks.status import Status
from orchestrator.tasks.waiting import WaitingFor
from tests.unit.intake.rows import NOW, agent_view, task_row

LATER = NOW + timedelta(seconds=60)


@pytest.mark.parametrize("status", [s for s in Status if s not in {"pending", "queued", "retrying"}])
def test_task_that_has_started_or_ended_waits_for_nothing(status: Status) -> None:
    assert waiting_reason(task_row(status=status, run_at=LATER), None, NOW) is None


def test_task_that_is_not_due() -> None:
    assert waiting_reason(task_row(run_at=LATER), [], NOW) is WaitingFor.NOT_DUE
    assert waiting_reason(task_row(status=Status.RETRYING, publish_at=LATER), [], NOW) is WaitingFor.NOT_DUE
    assert waiting_reason(task_row(run_at=NOW), [agent_view()], NOW) is None


def test_grace_of_the_first_publish_is_no_delay() -> None:
    assert waiting_reason(task_row(publish_at=LATER), [agent_view()], NOW) is None


def test_broker_away() -> None:
    assert waiting_reason(task_row(status=Status.QUEUED), None, NOW) is WaitingFor.BROKER


def test_no_agent_of_this_capability_is_alive() -> None:
    others = [agent_view(task_type="else"), agent_view(status=AgentStatus.OFFLINE)]

    assert waiting_reason(task_row(), others, NOW) is WaitingFor.NO_LIVE_AGENT


def test_every_agent_drains_or_is_paused() -> None:
    draining, paused = agent_view(status=AgentStatus.DRAINING), agent_view(status=AgentStatus.PAUSED)

    assert waiting_reason(task_row(), [draining], NOW) is WaitingFor.AGENTS_DRAINING
    assert waiting_reason(task_row(), [draining, paused], NOW) is WaitingFor.QUEUE_PAUSED


def test_every_slot_is_taken() -> None:
    busy = agent_view(running=2)

    assert waiting_reason(task_row(), [busy], NOW) is WaitingFor.AGENTS_BUSY
    assert waiting_reason(task_row(), [busy, agent_view(status=AgentStatus.DEGRADED)], NOW) is None


def test_pinned_task_waits_for_its_agent_only() -> None:
    pinned = task_row(pinned_agent_id="probe-2", pin="require")

    assert waiting_reason(pinned, [agent_view()], NOW) is WaitingFor.PINNED_AGENT_AWAY
    assert waiting_reason(pinned, [agent_view("probe-2", status=AgentStatus.OFFLINE)], NOW) is (
        WaitingFor.PINNED_AGENT_AWAY
    )
    assert waiting_reason(pinned, [agent_view("probe-2", running=2)], NOW) is WaitingFor.AGENTS_BUSY
    assert waiting_reason(pinned, [agent_view("probe-2")], NOW) is None
