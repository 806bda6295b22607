"""/health: is it alive, is it ready, how is everything."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from api.agent_schemas import AgentsHealthSchema, AgentStateSchema, HealthSchema, ReadySchema, SystemSchema
from api.agents import find_agent
from api.smorest import Routes
from orchestrator.broker.registry import AgentStatus
from orchestrator.errors import LedgerUnavailableError
from orchestrator.intake.access import Scope
from orchestrator.intake.health import ComponentStatus

if TYPE_CHECKING:
    from api.bodies import RequestParser
    from api.parts import Parts
    from orchestrator.broker.registry import AgentView
    from orchestrator.intake.health import SystemHealth

SERVICE = "orchestrator"
DEGRADED = "degraded"
HEALTHY = str(ComponentStatus.HEALTHY)


def health_routes(parts: Parts, parser: RequestParser) -> Routes:
    """Return the routes of health."""
    routes = Routes("health", "Is it alive, is it ready, how is everything", parser)

    @routes.add("GET", "/health", "/health/live", scope=None, answer=HealthSchema())
    def alive() -> dict[str, Any]:
        """Say that this process answers."""
        return _said(HEALTHY)

    @routes.add("GET", "/health/ready", scope=None, answer=ReadySchema(), problems=(503,))
    def ready() -> dict[str, Any]:
        """Say whether submissions are accepted."""
        ledger = parts.health.ledger()
        if ledger.status is not ComponentStatus.HEALTHY:
            raise LedgerUnavailableError("the ledger does not answer: nothing can be accepted")
        away = not parts.health.broker_available
        broker = ComponentStatus.UNAVAILABLE if away else ComponentStatus.HEALTHY
        return _said(DEGRADED if away else HEALTHY) | {
            "components": {"ledger": HEALTHY, "broker": str(broker)}
        }

    @routes.add("GET", "/health/system", scope=Scope.AGENTS_MANAGE, answer=SystemSchema())
    def system() -> dict[str, Any]:
        """Say how every part is."""
        return _show_system(parts.health.system()) | {"waiting_requests": parts.waiters.count}

    @routes.add("GET", "/health/agents", scope=Scope.AGENTS_READ, answer=AgentsHealthSchema())
    def agents() -> dict[str, Any]:
        """Count the agents by state."""
        found = parts.registry.agents()
        counts = Counter(agent.status for agent in found)
        return {
            "total": len(found),
            "counts": {str(status): counts[status] for status in AgentStatus},
            "agents": [_show_state(agent) for agent in found],
        }

    @routes.add(
        "GET", "/health/<agent_id>", scope=Scope.AGENTS_READ, answer=AgentStateSchema(), problems=(404,)
    )
    def agent(agent_id: str) -> dict[str, Any]:
        """Say how one agent is."""
        return _show_state(find_agent(parts, agent_id))

    return routes


def _said(status: str) -> dict[str, Any]:
    return {"status": status, "service": SERVICE, "timestamp": datetime.now(UTC)}


def _show_system(found: SystemHealth) -> dict[str, Any]:
    report = found.report or {}
    led = found.leader is not None and found.leader.until > datetime.now(UTC)
    controller = ComponentStatus.HEALTHY if led else ComponentStatus.UNAVAILABLE
    components = {"ledger": asdict(found.ledger), "broker": asdict(found.broker)}
    components["controller"] = {
        "status": controller,
        "latency_ms": None,
        "error": None if led else "no controller holds the lease",
    }
    whole = all(component["status"] == ComponentStatus.HEALTHY for component in components.values())
    return _said(HEALTHY if whole else DEGRADED) | {
        "components": components,
        "controller": {
            "status": controller,
            "leader": found.leader.holder if found.leader else None,
            "term": found.leader.term if found.leader else None,
            "lease_age_seconds": found.leader.age_seconds if found.leader else None,
            "lag_seconds": report.get("lag_seconds"),
            "passes": report.get("passes", {}),
        },
        "event_backlog": found.event_backlog,
    }


def _show_state(agent: AgentView) -> dict[str, Any]:
    return {
        "agent_id": agent.agent_id,
        "agent_type": agent.agent_type,
        "status": str(agent.status),
        "running": agent.running,
        "slots": agent.record.get("slots"),
        "load": agent.load,
        "last_heartbeat_at": agent.last_heartbeat_at,
    }
