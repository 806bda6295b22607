"""Which agents are gone, by the controller's own clock, from heartbeat counters that stand still. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.broker.registry import AgentView

MAX_STEP_SECONDS = 2.0
"""Between two looks that are further apart the controller itself could not see: the count begins again."""
BEATS_WITHOUT = 2
"""So many beats, all begun after the row was seen, must not list a run before it counts as dropped."""


@dataclass
class _Watch:
    incarnation: str
    seq: int
    still_seconds: float = 0.0


@dataclass
class Liveness:
    """Watches heartbeat counters; an agent is offline when its own has stood still for the timeout."""

    timeout_seconds: float
    _watches: dict[str, _Watch] = field(default_factory=dict)
    _looked_at: float | None = None

    def look(self, agents: Sequence[AgentView], *, now: float) -> frozenset[str]:
        """Note the counters, read at `now` (monotonic seconds) from Redis; return who is offline."""
        step = None if self._looked_at is None else now - self._looked_at
        self._looked_at = now
        blind = step is None or step > MAX_STEP_SECONDS
        seen: dict[str, _Watch] = {}
        for agent in agents:
            watch = self._watches.get(agent.agent_id)
            if watch is None or blind or (watch.incarnation, watch.seq) != (agent.incarnation, agent.seq):
                watch = _Watch(agent.incarnation, agent.seq)
            else:
                watch.still_seconds += step or 0.0
            seen[agent.agent_id] = watch
        self._watches = seen
        return frozenset(
            agent_id for agent_id, watch in seen.items() if watch.still_seconds >= self.timeout_seconds
        )

    def restart(self) -> None:
        """Begin to count anew: a new epoch, or a new leader."""
        self._watches.clear()
        self._looked_at = None


@dataclass
class _Absence:
    first_seq: int
    beats: set[int] = field(default_factory=set)


@dataclass
class Absences:
    """Runs that the ledger shows on a live agent whose heartbeats do not list them."""

    _absences: dict[str, _Absence] = field(default_factory=dict)

    def look(self, token: str, agent: AgentView) -> bool:
        """Note the agent's latest beat; True when BEATS_WITHOUT later beats have left the run out.

        They must have begun after the first look: the beat after the one that was the latest then does not
        count.
        """
        if token in agent.in_hand:
            self._absences.pop(token, None)
            return False
        absence = self._absences.setdefault(token, _Absence(agent.seq))
        if agent.seq >= absence.first_seq + 2:
            absence.beats.add(agent.seq)
        return len(absence.beats) >= BEATS_WITHOUT

    def keep_only(self, tokens: set[str]) -> None:
        """Forget runs that no longer matter."""
        self._absences = {token: absence for token, absence in self._absences.items() if token in tokens}

    def restart(self) -> None:
        """Forget all."""
        self._absences.clear()
