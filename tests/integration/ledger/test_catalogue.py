from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.ledger.catalogue import (
    CapabilityRow,
    agent_known,
    live_agents,
    mark_agent_left,
    read_catalogue,
    upsert_agent,
    upsert_capabilities,
)

if TYPE_CHECKING:
    from orchestrator.ledger.engine import Ledger

SCHEMA = {"type": "object", "properties": {"text": {"type": "string", "default": "\x00"}}}


def _record(**changes: Any) -> dict[str, Any]:
    return {"agent_id": "probe-1", "agent_type": "probe", "incarnation": "i1", "slots": 2, **changes}


def test_an_agent_is_known_from_its_registration_on(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        assert not agent_known(connection, "probe-1")
        upsert_agent(connection, _record())
        assert agent_known(connection, "probe-1")
        (row,) = live_agents(connection)
    assert (row.agent_id, row.kind, row.agent_type, row.incarnation) == ("probe-1", "celery", "probe", "i1")
    assert row.record == _record()


def test_only_the_latest_incarnation_can_leave(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        upsert_agent(connection, _record())
        upsert_agent(connection, _record(incarnation="i2"))
        assert not mark_agent_left(connection, "probe-1", "i1", lost=True)
        assert mark_agent_left(connection, "probe-1", "i2", lost=True)
        assert not mark_agent_left(connection, "probe-1", "i2", lost=True)
        assert live_agents(connection) == []
        assert agent_known(connection, "probe-1")


def test_an_agent_that_registers_again_is_back(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        upsert_agent(connection, _record())
        mark_agent_left(connection, "probe-1", "i1", lost=False)
        upsert_agent(connection, _record(incarnation="i2"))
        (row,) = live_agents(connection)
    assert (row.incarnation, row.left_at, row.lost_at) == ("i2", None, None)


def test_capabilities_are_kept_with_their_latest_schema(ledger: Ledger) -> None:
    echo = {"task_type": "echo", "parameters_schema": SCHEMA, "defaults": {"max_retries": 1}}
    sleep = {"task_type": "sleep", "exclusive": True}
    with ledger.transaction() as connection:
        assert upsert_capabilities(connection, "probe", []) == 0
        assert upsert_capabilities(connection, "probe", [sleep, echo]) == 2
        assert upsert_capabilities(connection, "probe", [echo, sleep, echo]) == 0
        assert upsert_capabilities(connection, "probe", [{**echo, "parameters_schema": None}]) == 1
        assert read_catalogue(connection) == [
            CapabilityRow("probe", "echo", None, {"max_retries": 1}, exclusive=False),
            CapabilityRow("probe", "sleep", None, {}, exclusive=True),
        ]
        upsert_capabilities(connection, "probe", [echo])
        assert read_catalogue(connection)[0].parameters_schema == SCHEMA
