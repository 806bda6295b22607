"""When a Redis that has restarted or lost its memory may be trusted again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator.broker.inspection import EpochView, Inspector
    from orchestrator.broker.registry import AgentView

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EpochReport:
    """Whether Redis is settled, and which agents are still waited for."""

    settled: bool
    waiting_for: int = 0
    new_epoch: bool = False

    @property
    def notable(self) -> bool:
        """Whether an operator should see it: Redis is trusted again."""
        return self.new_epoch


@dataclass
class Epochs:
    """Blesses a new epoch when every agent that was alive has beaten in it or has had its timeout."""

    inspector: Inspector
    timeout_seconds: float
    _seen: EpochView | None = field(default=None, init=False)
    _since: float = field(default=0.0, init=False)

    def settle(
        self, agents: Iterable[AgentView], expected: Callable[[], Iterable[str]], *, now: float
    ) -> EpochReport:
        """Look once. `expected` tells the agents that the ledger believes alive; `now` is monotonic seconds.

        Raises BrokerUnavailableError and what `expected` raises.
        """
        epoch = self.inspector.epoch()
        if epoch.blessed:
            self._seen = None
            return EpochReport(settled=True)
        if self._seen != epoch:
            self._seen, self._since = epoch, now
            log.warning("redis_lost_its_memory", epoch=epoch.text, run_id=epoch.run_id)
        beaten = {agent.agent_id for agent in agents if agent.run_id == epoch.run_id and agent.seq > 0}
        missing = set(expected()) - beaten
        if missing and now - self._since < self.timeout_seconds:
            return EpochReport(settled=False, waiting_for=len(missing))
        self.inspector.bless(epoch)
        log.info("epoch_blessed", after_seconds=round(now - self._since, 3), unheard=sorted(missing)[:20])
        return EpochReport(settled=True, new_epoch=True)
