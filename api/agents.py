"""/agents and /discovery: who is there, and what can be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.agent_schemas import AgentListSchema, AgentSchema, CatalogueSchema
from api.smorest import Routes
from orchestrator.errors import NotFoundError
from orchestrator.intake.access import Scope

if TYPE_CHECKING:
    from api.bodies import RequestParser
    from api.parts import Parts
    from orchestrator.broker.registry import AgentView


def agent_routes(parts: Parts, parser: RequestParser) -> Routes:
    """Return the routes of agents."""
    routes = Routes("agents", "Who is there", parser)

    @routes.add("GET", "/agents/list", "/agents", scope=Scope.AGENTS_READ, answer=AgentListSchema())
    def list_agents() -> dict[str, Any]:
        """List every registered agent."""
        agents = [show_agent(agent) for agent in parts.registry.agents()]
        return {"agents": agents, "count": len(agents)}

    @routes.add("GET", "/agents/<agent_id>", scope=Scope.AGENTS_READ, answer=AgentSchema(), problems=(404,))
    def read_agent(agent_id: str) -> dict[str, Any]:
        """Read one agent."""
        return show_agent(find_agent(parts, agent_id))

    return routes


def discovery_routes(parts: Parts, parser: RequestParser) -> Routes:
    """Return the routes of discovery."""
    routes = Routes("discovery", "What can be asked for", parser)

    @routes.add("GET", "/discovery/capabilities", scope=Scope.AGENTS_READ, answer=CatalogueSchema())
    def list_capabilities() -> dict[str, Any]:
        """List every capability that was ever registered."""
        agents = parts.registry.agents_if_known()
        found = [
            {
                "agent_type": capability.agent_type,
                "task_type": capability.task_type,
                "parameters_schema": capability.parameters_schema,
                "defaults": dict(capability.defaults),
                "exclusive": capability.exclusive,
                "live_agents": None if agents is None else _count_live(agents, agent_type, task_type),
            }
            for (agent_type, task_type), capability in sorted(parts.catalogue.all().items())
        ]
        return {"capabilities": found, "count": len(found)}

    return routes


def find_agent(parts: Parts, agent_id: str) -> AgentView:
    """Return a registered agent. Raises NotFoundError, BrokerUnavailableError."""
    agent = parts.registry.find(agent_id)
    if agent is None:
        raise NotFoundError("there is no such agent", code="not_found")
    return agent


def show_agent(agent: AgentView) -> dict[str, Any]:
    """Return the agent as clients read it."""
    record = agent.record
    return {
        "agent_id": agent.agent_id,
        "agent_name": record.get("agent_name", agent.agent_id),
        "agent_type": agent.agent_type,
        "status": str(agent.status),
        "kind": record.get("kind", "celery"),
        "host": record.get("host"),
        "port": record.get("port"),
        "pid": record.get("pid"),
        "version": record.get("version"),
        "slots": record.get("slots"),
        "running": agent.running,
        "load": agent.load,
        "capabilities": record.get("capabilities", []),
        "metadata": record.get("metadata", {}),
        "registered_at": record.get("registered_at"),
        "last_heartbeat_at": agent.last_heartbeat_at,
    }


def _count_live(agents: list[AgentView], agent_type: str, task_type: str) -> int:
    return sum(
        agent.live and agent.agent_type == agent_type and task_type in agent.task_types for agent in agents
    )
