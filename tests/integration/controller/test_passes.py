"""Passes of the leader on a real ledger and a real Redis."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from orchestrator.broker import keys
from orchestrator.broker.announcements import Announcements
from orchestrator.broker.gateway import Broker
from orchestrator.broker.inspection import Inspector
from orchestrator.broker.registry import AgentStatus, AgentView
from orchestrator.broker.stream import ENDED_KEY_SECONDS, EventStream
from orchestrator.controller.fold import MAX_SHARED_LOSSES
from orchestrator.controller.progress import Progress
from orchestrator.controller.publishing import PublishPass
from orchestrator.controller.reconciler import LOST_MESSAGE_SECONDS, MAX_DOUBLINGS, Reconciler
from orchestrator.controller.recorder import Recorder
from orchestrator.errors import BrokerUnavailableError
from orchestrator.ledger import leadership
from orchestrator.worker.link import AgentLink, Run
from tests.support.rows import fill, insert_row, read_row, set_row

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator, Sequence

    from orchestrator.broker.options import BrokerOptions
    from orchestrator.ledger.engine import Ledger
    from tests.support.redis import RedisServer


class Office:
    """What a leader needs, with the passes run by hand."""

    def __init__(self, ledger: Ledger, server: RedisServer) -> None:
        self.ledger, self.client = ledger, server.client()
        server.bless()
        self.broker = Broker(server.options(), command_timeout_seconds=2.0)
        self.inspector = Inspector(server.options())
        with ledger.transaction() as conn:
            self.term = leadership.acquire(conn, "test", 60.0) or 0
        self.now = 0.0
        self.publisher = PublishPass(ledger, self.broker, self.term, heartbeat_timeout_seconds=3.0)
        self.reconciler = Reconciler(
            ledger=ledger,
            broker=self.broker,
            inspector=self.inspector,
            term=self.term,
            heartbeat_timeout_seconds=3.0,
            max_worker_losses=3,
            clock=lambda: self.now,
        )

    def insert(self, **columns: Any) -> uuid.UUID:
        with self.ledger.transaction() as conn:
            return insert_row(conn, **columns)

    def set(self, task_id: uuid.UUID, **columns: Any) -> None:
        with self.ledger.transaction() as conn:
            set_row(conn, task_id, **columns)

    def row(self, task_id: uuid.UUID) -> Any:
        with self.ledger.transaction() as conn:
            return read_row(conn, task_id)

    def close(self) -> None:
        for part in (self.broker, self.inspector, self.client):
            part.close()


@pytest.fixture
def office(ledger: Ledger, redis_server: RedisServer) -> Iterator[Office]:
    office = Office(ledger, redis_server)
    yield office
    office.client.config_set("maxmemory", 0)
    office.close()


DUE = datetime(2026, 1, 1, tzinfo=UTC)
RUNNING = {"status": "running", "agent_id": "probe-1", "incarnation": "life-1", "attempt": 1}


def agent(agent_id: str = "probe-1", *, incarnation: str = "life-1", **values: Any) -> AgentView:
    return AgentView(
        agent_id, incarnation, {}, AgentStatus.OFFLINE, 7, "run", 1, {}, frozenset(), DUE, **values
    )


def test_publishing_goes_on_after_redis_was_full(office: Office) -> None:
    office.insert(publish_at=DUE)
    office.client.config_set("maxmemory", 1)
    with pytest.raises(BrokerUnavailableError):
        office.publisher.run_once()

    office.client.config_set("maxmemory", 0)

    assert office.publisher.run_once().answers == {"QUEUED": 1}


def test_thousands_of_lost_tasks_are_all_given_back(office: Office) -> None:
    with office.ledger.transaction(60.0) as conn:
        fill(conn, 20_000, status="running", weeks=1)
        conn.execute(
            text("""
                UPDATE tasks SET agent_id = 'probe-1', incarnation = 'life-1', attempt = 1,
                    token = left(md5(CAST(id AS text)), 24), parameters = CAST(:parameters AS json)
            """),
            {"parameters": json.dumps({"text": "x" * 20_000})},
        )

    report = office.reconciler.lost_agents([agent()], frozenset({"probe-1"}))

    assert (report.looked_at, report.taken_back) == (20_000, 20_000)


def test_a_message_that_nobody_lives_to_begin_ends_its_task_after_ten_deliveries(office: Office) -> None:
    task_id = office.insert(publish_at=DUE)
    for loss in range(MAX_SHARED_LOSSES):
        assert office.publisher.run_once().answers == {"QUEUED": 1}
        office.set(task_id, status="queued")
        assert office.client.rpop("probe.echo:2")
        assert office.reconciler.lost_messages().looked_at == 1
        office.now += LOST_MESSAGE_SECONDS * 2 ** min(loss, MAX_DOUBLINGS) - 0.1
        assert office.reconciler.lost_messages().taken_back == 0
        office.now += 0.1
        office.reconciler.lost_messages()

    row = office.row(task_id)
    assert (row.status, row.error_code, row.delivery) == ("failed", "undeliverable", MAX_SHARED_LOSSES)
    assert (row.shared_losses, row.worker_losses, row.attempt) == (MAX_SHARED_LOSSES, 0, 0)


@pytest.mark.parametrize(
    ("holder", "losses"),
    [
        (agent(), 1),
        (agent(draining=True), 0),
        (agent(incarnation="life-2"), 1),
        (agent(incarnation="life-2", draining=True), 1),
        (agent(incarnation="life-2", predecessor_drained=True), 0),
    ],
)
def test_an_agent_that_was_being_stopped_counts_against_no_task(
    office: Office, holder: AgentView, losses: int
) -> None:
    task_id = office.insert(**RUNNING, token="t" * 24)

    office.reconciler.lost_agents([holder], frozenset({holder.agent_id}))

    row = office.row(task_id)
    assert (row.status, row.delivery, row.worker_losses) == ("pending", 2, losses)


def test_the_loss_that_makes_a_task_poison_is_counted(office: Office) -> None:
    task_id = office.insert(**RUNNING, token="t" * 24, worker_losses=2)

    office.reconciler.lost_agents([agent()], frozenset({"probe-1"}))

    row = office.row(task_id)
    assert (row.status, row.error_code, row.worker_losses) == ("failed", "poison", 3)


def test_a_claim_that_a_given_up_agent_wrote_again_does_not_hold_the_next_delivery_for_ever(
    office: Office,
) -> None:
    task_id = office.insert(publish_at=DUE, delivery=2)
    office.client.hset(keys.task_key(str(task_id)), mapping={"d": 1, "s": "held", "k": "t" * 24, "a": "gone"})
    assert office.publisher.run_once().answers == {"HELD": 1}

    assert office.publisher.run_once().due == 0
    assert office.row(task_id).delivery == 3
    office.set(task_id, publish_at=DUE)
    assert office.publisher.run_once().answers == {"QUEUED": 1}


def test_agents_that_are_gone_for_a_day_leave_the_registry(office: Office, redis_server: RedisServer) -> None:
    link = AgentLink(redis_server.options(), agent_id="probe-1", incarnation="life-1")
    assert link.register({"agent_id": "probe-1"}).granted

    office.reconciler.lost_agents([agent()], frozenset({"probe-1"}))

    assert office.inspector.agents() == []
    assert [event["e"] for _, event in office.client.xrange(keys.EVENTS)] == ["registered", "left"]
    link.close()


def test_who_waits_hears_of_an_end_whose_trimming_failed(office: Office, redis_server: RedisServer) -> None:
    """And the key of that end expires all the same."""
    task_id, options = office.insert(publish_at=DUE), redis_server.options()
    link = AgentLink(options, agent_id="probe-1", incarnation="life-1")
    recorder = Recorder(
        ledger=office.ledger,
        stream=FailsToTrimOnce(options),
        inspector=office.inspector,
        progress=Progress(),
        wake_publisher=threading.Event(),
        term=office.term,
        max_worker_losses=3,
    )
    heard = Announcements(office.broker.client)
    recorder.run_once()
    assert office.publisher.run_once().answers == {"QUEUED": 1}
    run = Run(str(task_id), 1, "t" * 24)
    assert link.claim(run, pid=1)[0] == "GRANTED"
    assert link.report(run, "completed", '{"result": 1}') == "ACCEPTED"
    with pytest.raises(BrokerUnavailableError):
        recorder.run_once()
    assert office.row(task_id).status == "completed"
    first = heard.next(2.0)
    assert first is not None
    assert first.reread_all

    recorder.run_once()

    told = heard.next(2.0)
    assert told is not None
    assert told.reread_all
    assert 0 < office.client.ttl(keys.task_key(str(task_id))) <= ENDED_KEY_SECONDS
    assert office.client.xlen(keys.EVENTS) == 0
    heard.close()
    link.close()


class FailsToTrimOnce(EventStream):
    """A stream whose first trimming does not reach Redis."""

    def __init__(self, options: BrokerOptions) -> None:
        super().__init__(options)
        self._failures = 1

    def settle(self, entry_ids: Sequence[str], ended: Sequence[tuple[str, int]]) -> None:
        if self._failures:
            self._failures -= 1
            raise BrokerUnavailableError("Redis does not answer")
        super().settle(entry_ids, ended)
