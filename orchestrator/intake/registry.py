"""The live agents as an API process sees them: one reading a second serves every request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import BrokerUnavailableError
from orchestrator.intake.shared_read import SharedRead

if TYPE_CHECKING:
    from orchestrator.broker.gateway import Broker
    from orchestrator.broker.registry import AgentView

FRESH_SECONDS = 1.0
PAUSE_SECONDS = 0.1


class RegistryView:
    """Reads the registry; while the broker is known to be away it says so without asking."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._agents = SharedRead(self._read, fresh_seconds=FRESH_SECONDS, pause_seconds=PAUSE_SECONDS)

    def agents(self) -> list[AgentView]:
        """Return the agents as they were at most FRESH_SECONDS ago. Raises BrokerUnavailableError."""
        return self._agents.get()

    def agents_now(self) -> list[AgentView]:
        """Return the agents as they are now. Raises BrokerUnavailableError."""
        return self._agents.get_new()

    def find(self, agent_id: str) -> AgentView | None:
        """Return one agent, looked up again if it is not among those last read.

        Raises BrokerUnavailableError.
        """
        for agents in (self.agents, self.agents_now):
            for agent in agents():
                if agent.agent_id == agent_id:
                    return agent
        return None

    def agents_if_known(self) -> list[AgentView] | None:
        """Return the agents, or None while the broker is away."""
        try:
            return self.agents()
        except BrokerUnavailableError:
            return None

    def _read(self) -> list[AgentView]:
        if not self._broker.available:
            raise BrokerUnavailableError("Redis is known to be away")
        return self._broker.agents()
