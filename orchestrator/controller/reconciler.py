"""The reconciler: passes that find what was lost between the ledger and Redis, and repair it.

Every repair asks Redis first (take-back), then writes the ledger under a guard, then the row is published
like any other. Dying in between is harmless: the next pass does it again.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from orchestrator.broker.answers import TakenBack
from orchestrator.controller.fold import MAX_SHARED_LOSSES, POISON
from orchestrator.controller.liveness import Absences, Liveness
from orchestrator.ledger import catalogue, executions, leadership, repairs
from orchestrator.tasks.status import Status

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence

    from orchestrator.broker.answers import TakeBackAnswer
    from orchestrator.broker.gateway import Broker
    from orchestrator.broker.inspection import Inspector
    from orchestrator.broker.registry import AgentView
    from orchestrator.ledger.engine import Ledger
    from orchestrator.ledger.repairs import InFlight

LIMIT = 1000
REPAIR_CHUNK = 200
"""Repairs of one round trip and one transaction: thousands would never fit into its time."""
MAX_PAGES = 50
LOST_MESSAGE_SECONDS = 5.0
"""A message must look lost in two looks so far apart: between pop and claim a healthy one looks the same."""

EXPIRED = "expired"
UNDELIVERABLE = "undeliverable"
MAX_DOUBLINGS = 6
FAREWELLS = 200
FORGET_AFTER = timedelta(days=1)


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
    unclaimed: bool = False
    """Its message was taken from the queue, and nobody asked for the run."""


@dataclass
class Reconciler:
    """The repairs of one term of leadership."""

    ledger: Ledger
    broker: Broker
    inspector: Inspector
    term: int
    heartbeat_timeout_seconds: float
    max_worker_losses: int
    clock: Callable[[], float] = time.monotonic
    _absences: Absences = field(default_factory=Absences)
    _unknown_since: dict[str, float] = field(default_factory=dict)
    _suspects: dict[str, float] = field(default_factory=dict)
    _noted: set[tuple[str, str]] = field(default_factory=set)
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
            _loss(row, by_id.get(row.agent_id or ""), alone=together[row.agent_id, row.incarnation] == 1)
            for row in gone
        ]
        present = {row.token for row in gone}
        dropped = [
            Loss(row)
            for row in rows
            if row.token not in present and self._is_dropped(row, by_id.get(row.agent_id or ""))
        ]
        known = {row.agent_id or "" for row in rows}
        self._unknown_since = {name: at for name, at in self._unknown_since.items() if name in known}
        report = self._repair([*losses, *dropped], looked_at=len(rows))
        self._bid_farewell([agent for agent in agents if agent.agent_id in offline])
        return report

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
            since = self._unknown_since.setdefault(row.agent_id or "", self.clock())
            return self.clock() - since >= self.heartbeat_timeout_seconds
        self._unknown_since.pop(agent.agent_id, None)
        return agent.agent_id in offline or (
            agent.incarnation != row.incarnation and row.incarnation is not None
        )

    def _is_dropped(self, row: InFlight, agent: AgentView | None) -> bool:
        return agent is not None and row.token is not None and self._absences.look(row.token, agent)

    def _bid_farewell(self, offline: Sequence[AgentView]) -> None:
        """Note in the ledger, once, who is gone; after FORGET_AFTER Redis need not know of it either."""
        self._noted &= {(agent.agent_id, agent.incarnation) for agent in offline}
        new = [agent for agent in offline if (agent.agent_id, agent.incarnation) not in self._noted]
        if new := new[:FAREWELLS]:
            with self.ledger.transaction() as conn:
                leadership.assert_term(conn, self.term)
                for agent in new:
                    catalogue.mark_agent_left(conn, agent.agent_id, agent.incarnation, lost=True)
            self._noted |= {(agent.agent_id, agent.incarnation) for agent in new}
        since = datetime.now(UTC) - FORGET_AFTER
        self.inspector.forget([agent for agent in offline if agent.last_heartbeat_at < since][:FAREWELLS])

    def lost_messages(self) -> RepairReport:
        """Take back what was popped from its list and not claimed for LOST_MESSAGE_SECONDS.

        It may have killed whoever read it, so it counts among the task's shared losses, and each of them
        doubles the patience with its next message: what nobody can begin ends, what is slow does not.
        """
        now, found = self.clock(), self.inspector.lost_messages()
        self._suspects = {task_id: self._suspects.get(task_id, now) for task_id in found}
        ripe = [task_id for task_id, since in self._suspects.items() if now - since >= LOST_MESSAGE_SECONDS]
        if not ripe:
            return RepairReport(looked_at=len(found))
        with self.ledger.transaction() as conn:
            rows = repairs.in_flight_among(conn, ripe[:LIMIT])
        waiting = [
            row for row in rows if row.status is not Status.RUNNING and now >= self._patience_ends(row)
        ]
        for row in waiting:
            self._suspects.pop(str(row.id), None)
        losses = [Loss(row, shared_losses=1, unclaimed=True) for row in waiting]
        return self._repair(losses, looked_at=len(found))

    def _patience_ends(self, row: InFlight) -> float:
        doublings = min(row.shared_losses, MAX_DOUBLINGS)
        return self._suspects[str(row.id)] + LOST_MESSAGE_SECONDS * 2.0**doublings

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
        report = RepairReport(looked_at=looked_at)
        for start in range(0, len(losses), REPAIR_CHUNK):
            report = _sum(report, self._repair_some(losses[start : start + REPAIR_CHUNK]))
        return report

    def _repair_some(self, losses: Sequence[Loss]) -> RepairReport:
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
        return RepairReport(0, len(raised), len(failed), dict(Counter(str(item.outcome) for item in answers)))

    def _is_poison(self, loss: Loss) -> bool:
        alone = loss.worker_losses and loss.row.worker_losses + 1 >= self.max_worker_losses
        shared = loss.shared_losses and loss.row.shared_losses + 1 >= MAX_SHARED_LOSSES
        return bool(alone or shared)


def _loss(row: InFlight, agent: AgentView | None, *, alone: bool) -> Loss:
    """Tell what counts against the task: nothing where its agent was being stopped, or left no trace."""
    if agent is None or agent.was_draining(row.incarnation):
        return Loss(row)
    return Loss(row, worker_losses=1) if alone else Loss(row, shared_losses=1)


def _sum(first: RepairReport, second: RepairReport) -> RepairReport:
    return RepairReport(
        first.looked_at + second.looked_at,
        first.taken_back + second.taken_back,
        first.poisoned + second.poisoned,
        dict(Counter(first.answers) + Counter(second.answers)),
    )


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
    if loss.unclaimed:
        return repairs.Failure(
            id=loss.row.id,
            delivery_seen=loss.row.delivery,
            code=UNDELIVERABLE,
            error="the task's message was taken from its queue and not begun, again and again",
            shared_losses=1,
        )
    count = loss.row.worker_losses + loss.row.shared_losses + 1
    return repairs.Failure(
        id=loss.row.id,
        delivery_seen=loss.row.delivery,
        code=POISON,
        error=f"the task was running when its process died, {count} times; it is not given to another agent",
        worker_losses=loss.worker_losses,
        shared_losses=loss.shared_losses,
    )
