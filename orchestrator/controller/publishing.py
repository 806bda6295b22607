"""The scheduler: what is due goes on its queue. Unpublished rows, delayed ones, retries, repairs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.broker.answers import Delivered, TakenBack
from orchestrator.errors import UnavailableError
from orchestrator.ledger import leadership, repairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.broker.gateway import Broker
    from orchestrator.ledger.engine import Ledger
    from orchestrator.tasks.state import Publishable

LIMIT = 1000
_LATER_SECONDS = {Delivered.FULL: 1.0, Delivered.HELD: 2.0, Delivered.ALREADY: 5.0, Delivered.REFUSED: 5.0}

_ODD = frozenset({Delivered.REFUSED, Delivered.HELD})


@dataclass(frozen=True, slots=True)
class PublishReport:
    """How many rows were due, and what became of them by the answer of Redis."""

    due: int
    answers: dict[str, int]


@dataclass
class PublishPass:
    """One pass over the rows that are due."""

    ledger: Ledger
    broker: Broker
    term: int
    heartbeat_timeout_seconds: float
    _limit: int = field(default=LIMIT, init=False)

    def run_once(self) -> PublishReport:
        """Publish up to LIMIT due rows under their present delivery.

        Raises UnavailableError or LostLeadershipError; the next pass then takes half as many, because rows
        that are too large together for one transaction or one round trip would be so for ever.
        """
        try:
            report = self._publish_due()
        except UnavailableError:
            self._limit = max(1, self._limit // 2)
            raise
        self._limit = min(LIMIT, self._limit * 2)
        return report

    def _publish_due(self) -> PublishReport:
        if not self.broker.available:
            self.broker.probe()
        decision = self.broker.decided()
        with self.ledger.transaction() as conn:
            leadership.assert_term(conn, self.term)
            due = repairs.due_for_publish(conn, self._limit)
        if not due:
            return PublishReport(0, {})
        answers = self.broker.publish(due, decision=decision)
        self._put_off(due, answers)
        odd = [row for row, answer in zip(due, answers, strict=True) if answer in _ODD]
        if odd:
            self._adopt(odd)
        return PublishReport(len(due), dict(Counter(str(answer) for answer in answers)))

    def _put_off(self, due: Sequence[Publishable], answers: Sequence[Delivered]) -> None:
        for answer, seconds in _LATER_SECONDS.items():
            ids = [row.id for row, given in zip(due, answers, strict=True) if given is answer]
            if ids:
                with self.ledger.transaction() as conn:
                    leadership.assert_term(conn, self.term)
                    repairs.postpone(conn, ids, seconds)

    def _adopt(self, rows: Sequence[Publishable]) -> None:
        """Follow Redis where it knows a later delivery than the ledger: PostgreSQL lost a commit.

        A key that holds an earlier delivery was re-created by an agent that had been given up: its outcome
        would be refused, and if it died, nobody would look for it. Its next heartbeat tells it to stop.
        """
        items = [(str(row.id), row.delivery, None) for row in rows]
        answers = self.broker.take_back(items, decision=self.broker.decided())
        with self.ledger.transaction() as conn:
            leadership.assert_term(conn, self.term)
            raised = repairs.raise_delivery(
                conn,
                [
                    repairs.Raise(row.id, row.delivery, answer.delivery)
                    for row, answer in zip(rows, answers, strict=True)
                    if answer.outcome in (TakenBack.MOVED, TakenBack.TAKEN) and answer.delivery is not None
                ],
            )
            repairs.postpone(conn, [row.id for row in raised], self.heartbeat_timeout_seconds)
