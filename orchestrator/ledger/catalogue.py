"""Agents and capabilities that ever registered: what may be submitted does not depend on who is alive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, cast, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from orchestrator.ledger import schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

MAX_CAPABILITIES = 10_000
MAX_AGENTS = 10_000


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent as it registered last; `record` is its registration."""

    agent_id: str
    kind: str
    agent_type: str
    incarnation: str
    record: dict[str, Any]
    registered_at: datetime
    left_at: datetime | None
    lost_at: datetime | None


@dataclass(frozen=True, slots=True)
class CapabilityRow:
    """What an agent type can do: JSON Schema of the parameters, defaults where a submission is silent."""

    agent_type: str
    task_type: str
    parameters_schema: dict[str, Any] | None
    defaults: dict[str, Any]
    exclusive: bool


def upsert_agent(connection: Connection, record: Mapping[str, Any]) -> None:
    """Write a registration down: `record` has agent_id, agent_type, incarnation, and kind if not celery."""
    values = {
        "agent_id": record["agent_id"],
        "kind": record.get("kind", "celery"),
        "agent_type": record["agent_type"],
        "incarnation": record["incarnation"],
        "record": dict(record),
        "registered_at": func.now(),
        "left_at": None,
        "lost_at": None,
    }
    statement = insert(schema.agents).values(values)
    changed = {name: statement.excluded[name] for name in values if name != "agent_id"}
    connection.execute(statement.on_conflict_do_update(index_elements=["agent_id"], set_=changed))


def mark_agent_left(connection: Connection, agent_id: str, incarnation: str, *, lost: bool) -> bool:
    """Note that this incarnation has left, or is lost; False if it is not the latest or was noted before."""
    agents = schema.agents.c
    column = agents.lost_at if lost else agents.left_at
    statement = (
        schema.agents.update()
        .where(agents.agent_id == agent_id, agents.incarnation == incarnation)
        .where(column.is_(None))
        .values({column.name: func.now()})
    )
    return connection.execute(statement).rowcount == 1


def live_agents(connection: Connection, limit: int = MAX_AGENTS) -> list[AgentRow]:
    """Return those that neither left nor were lost."""
    agents = schema.agents.c
    query = select(schema.agents).where(agents.left_at.is_(None), agents.lost_at.is_(None))
    return [AgentRow(*row) for row in connection.execute(query.order_by(agents.agent_id).limit(limit))]


def agent_known(connection: Connection, agent_id: str) -> bool:
    """Whether an agent of this name ever registered."""
    return bool(connection.execute(select(exists().where(schema.agents.c.agent_id == agent_id))).scalar_one())


def upsert_capabilities(
    connection: Connection, agent_type: str, capabilities: Sequence[Mapping[str, Any]]
) -> int:
    """Write the capabilities of a registration down; return how many were new or different."""
    if not capabilities:
        return 0
    rows = {str(item["task_type"]): _capability_values(agent_type, item) for item in capabilities}
    statement = insert(schema.capabilities).values([rows[name] for name in sorted(rows)])
    new, table = statement.excluded, schema.capabilities.c
    names = ("parameters_schema", "defaults", "exclusive")
    written = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["agent_type", "task_type"],
            set_={**{name: new[name] for name in names}, "updated_at": func.now()},
            where=or_(*(cast(table[name], Text).is_distinct_from(cast(new[name], Text)) for name in names)),
        )
    )
    return written.rowcount


def read_catalogue(connection: Connection, limit: int = MAX_CAPABILITIES) -> list[CapabilityRow]:
    """Return every capability, by name."""
    table = schema.capabilities.c
    query = select(
        table.agent_type, table.task_type, table.parameters_schema, table.defaults, table.exclusive
    )
    rows = connection.execute(query.order_by(table.agent_type, table.task_type).limit(limit))
    return [CapabilityRow(*row) for row in rows]


def _capability_values(agent_type: str, item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "agent_type": agent_type,
        "task_type": item["task_type"],
        "parameters_schema": item.get("parameters_schema"),
        "defaults": item.get("defaults") or {},
        "exclusive": bool(item.get("exclusive")),
        "updated_at": func.now(),
    }
