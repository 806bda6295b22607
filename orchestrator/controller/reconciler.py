"""The reconciler: passes that find what was lost between the ledger and Redis, and repair it.

Every repair asks Redis first (take-back), then writes the ledger under a guard, then the row is published
like any other. Dying in between is harmless: the next pass does it again.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.broker.answers import TakenBack
from orchestrator.controller.fold import MAX_SHARED_LOSSES, POISON
from orchestrator.controller.liveness import Absences, Liveness
from orchestrator.ledger import catalogue, executions, leadership, repairs
from orchestrator.tasks.status import Status

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from orchestrator.broker.answers import TakeBackAnswer
    from orchestrator.broker.gateway import Broker
    from orchestrator.broker.inspection import Inspector
    from orchestrator.broker.registry import AgentView
    from orchestrator.ledger.engine import Ledger
    from orchestrator.ledger.repairs import InFlight

LIMIT = 1000
MAX_PAGES = 50
LOST_MESSAGE_SECONDS = 5.0
"""A message must look lost in two looks so far apart: between pop and claim a healthy one looks the same."""

EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class RepairReport:
    """How many rows a pass looked at, and what became of those it took back."""

    looked_at: int = 0
    taken_back: int = 0
    poisoned: int = 0
    answers: dict[str, int] = field(default_factory=dict)

    @property
    def notable(self) -> bool:
        """Whether an operator should see it: tasks were taken back or given up."""
        return self.taken_back > 0 or self.poisoned > 0


@dataclass(frozen=True, slots=True)
class Loss:
    """A row that its agent or its queue lost, with what counts against the task."""

    row: InFlight
    worker_losses: int = 0
    shared_losses: int = 0


@dataclass
class Reconciler:
    """The repairs of one term of leadership."""

    ledger: Ledger
    broker: Broker
    inspector: Inspector
    term: int
    heartbeat_timeout_seconds: float
    max_worker_losses: int
    _absences: Absences = field(default_factory=Absences)
    _unknown_since: dict[str, float] = field(default_factory=dict)
    _suspects: dict[str, float] = field(default_factory=dict)
    _cursor: uuid.UUID | None = None
    liveness: Liveness = field(init=False)

    def __post_init__(self) -> None:
        self.liveness = Liveness(self.heartbeat_timeout_seconds)

    def restart(self) -> None:
        """Forget what was observed: a new epoch has begun."""
        self.liveness.restart()
        self._absences.restart()
        self._unknown_since.clear()
        self._suspects.clear()
        self._cursor = None

    def lost_agents(self, agents: Sequence[AgentView], offline: frozenset[str]) -> RepairReport:
        """Take back what is running on an agent that is gone, replaced, or alive and no longer runs it."""
        rows = self._in_hands()
        by_id = {agent.agent_id: agent for agent in agents}
        self._absences.keep_only({row.token for row in rows if row.token})
        gone = [row for row in rows if self._is_gone(row, by_id.get(row.agent_id or ""), offline)]
        together = Counter((row.agent_id, row.incarnation) for row in rows)
        losses = [
            Loss(row, worker_losses=1)
            if together[row.agent_id, row.incarnation] == 1
            else Loss(row, shared_losses=1)
            for row in gone
        ]
        present = {row.token for row in gone}
        dropped = [
            Loss(row)
            for row in rows
            if row.token not in present and self._is_dropped(row, by_id.get(row.agent_id or ""))
        ]
        if offline:
            self._note_offline([by_id[agent_id] for agent_id in offline if agent_id in by_id])
        return self._repair([*losses, *dropped], looked_at=len(rows))

    def _in_hands(self) -> list[InFlight]:
        rows: list[InFlight] = []
        for _ in range(MAX_PAGES):
            with self.ledger.transaction() as conn:
                page = repairs.in_flight(
                    conn,
                    after_id=rows[-1].id if rows else None,
                    limit=LIMIT,
                    statuses=(Status.SENT, Status.RUNNING),
                )
            rows += page
            if len(page) < LIMIT:
                break
        return rows

    def _is_gone(self, row: InFlight, agent: AgentView | None, offline: frozenset[str]) -> bool:
        if agent is None:
            since = self._unknown_since.setdefault(row.agent_id or "", time.monotonic())
            return time.monotonic() - since >= self.heartbeat_timeout_seconds
        self._unknown_since.pop(agent.agent_id, None)
        return agent.agent_id in offline or (
            agent.incarnation != row.incarnation and row.incarnation is not None
        )

    def _is_dropped(self, row: InFlight, agent: AgentView | None) -> bool:
        return agent is not None and row.token is not None and self._absences.look(row.token, agent)

    def _note_offline(self, agents: Sequence[AgentView]) -> None:
        with self.ledger.transaction() as conn:
            leadership.assert_term(conn, self.term)
            for agent in agents:
                catalogue.mark_agent_left(conn, agent.agent_id, agent.incarnation, lost=True)

    def lost_messages(self) -> RepairReport:
        """Take back what was popped from its list and not claimed for LOST_MESSAGE_SECONDS."""
        now, found = time.monotonic(), self.inspector.lost_messages()
        self._suspects = {task_id: self._suspects.get(task_id, now) for task_id in found}
        ripe = [task_id for task_id, since in self._suspects.items() if now - since >= LOST_MESSAGE_SECONDS]
        if not ripe:
            return RepairReport(looked_at=len(found))
        with self.ledger.transaction() as conn:
            rows = repairs.in_flight_among(conn, ripe[:LIMIT])
        waiting = [row for row in rows if row.status is not Status.RUNNING]
        for row in waiting:
            self._suspects.pop(str(row.id), None)
        return self._repair([Loss(row) for row in waiting], looked_at=len(found))

    def forgotten_keys(self) -> RepairReport:
        """Take back queued rows whose key Redis no longer has, a page at a time, round and round."""
        with self.ledger.transaction() as conn:
            rows = repairs.in_flight(conn, after_id=self._cursor, limit=LIMIT, statuses=(Status.QUEUED,))
        self._cursor = rows[-1].id if len(rows) == LIMIT else None
        keys = self.inspector.keys_of([str(row.id) for row in rows])
        lost = [
            Loss(row)
            for row, key in zip(rows, keys, strict=True)
            if key.delivery is None or key.delivery < row.delivery or key.state == "reserved"
        ]
        return self._repair(lost, looked_at=len(rows))

    @property
    def looks_at_more(self) -> bool:
        """Whether the last page of forgotten_keys was full, so that the next should follow at once."""
        return self._cursor is not None

    def cancel_wishes(self) -> RepairReport:
        """Carry out wishes to cancel that Redis has not heard of or has forgotten."""
        with self.ledger.transaction() as conn:
            wishes = repairs.cancel_wishes(conn, LIMIT)
        answers: Counter[str] = Counter()
        for wish in wishes:
            answers[str(self.broker.cancel(str(wish.id), wish.delivery).outcome)] += 1
        return RepairReport(looked_at=len(wishes), answers=dict(answers))

    def expired(self) -> RepairReport:
        """End what should have begun by now and has not, once Redis agrees that nobody has it."""
        with self.ledger.transaction() as conn:
            rows = repairs.expired(conn, LIMIT)
        if not rows:
            return RepairReport()
        items = [(str(row.id), row.delivery, None) for row in rows]
        answers = self.broker.take_back(items, decision=self.broker.decided())
        ends = [
            repairs.Failure(row.id, row.delivery, EXPIRED, "the task was not started before it expired")
            for row, answer in zip(rows, answers, strict=True)
            if answer.outcome is TakenBack.TAKEN
        ]
        with self.ledger.transaction() as conn:
            leadership.assert_term(conn, self.term)
            ended = repairs.end_tasks(conn, ends, Status.TIMEOUT)
        self.inspector.announce([str(task_id) for task_id in ended])
        return RepairReport(len(rows), len(ended), 0, dict(Counter(str(item.outcome) for item in answers)))

    def _repair(self, losses: Sequence[Loss], *, looked_at: int) -> RepairReport:
        if not losses:
            return RepairReport(looked_at=looked_at)
        decision = self.broker.decided()
        items = [(str(loss.row.id), loss.row.delivery, loss.row.token) for loss in losses]
        answers = self.broker.take_back(items, decision=decision)
        raises, poisoned, gone = [], [], []
        for loss, answer in zip(losses, answers, strict=True):
            if answer.outcome not in (TakenBack.TAKEN, TakenBack.MOVED):
                continue
            gone.append(loss)
            if self._is_poison(loss):
                poisoned.append(_poisoned(loss))
            else:
                raises.append(_raise(loss, answer))
        with self.ledger.transaction() as conn:
            leadership.assert_term(conn, self.term)
            raised = repairs.raise_delivery(conn, raises)
            failed = repairs.fail_tasks(conn, poisoned)
            executions.end_attempts_lost(
                conn, [(loss.row.id, loss.row.token) for loss in gone if loss.row.token]
            )
        if failed:
            self.inspector.announce([str(task_id) for task_id in failed])
        return RepairReport(
            looked_at, len(raised), len(failed), dict(Counter(str(item.outcome) for item in answers))
        )

    def _is_poison(self, loss: Loss) -> bool:
        alone = loss.worker_losses and loss.row.worker_losses + 1 >= self.max_worker_losses
        shared = loss.shared_losses and loss.row.shared_losses + 1 >= MAX_SHARED_LOSSES
        return bool(alone or shared)


def _raise(loss: Loss, answer: TakeBackAnswer) -> repairs.Raise:
    return repairs.Raise(
        id=loss.row.id,
        delivery_seen=loss.row.delivery,
        status_seen=loss.row.status,
        new_delivery=answer.delivery or loss.row.delivery + 1,
        worker_losses=loss.worker_losses,
        shared_losses=loss.shared_losses,
    )


def _poisoned(loss: Loss) -> repairs.Failure:
    count = loss.row.worker_losses + loss.row.shared_losses + 1
    return repairs.Failure(
        id=loss.row.id,
        delivery_seen=loss.row.delivery,
        code=POISON,
        error=f"the task was running when its process died, {count} times; it is not given to another agent",
    )
