"""A Redis that came back older than the ledger gives out what has ended: such a run is stopped."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING

import pytest

from orchestrator.broker import keys
from orchestrator.broker.gateway import Broker
from orchestrator.broker.inspection import Inspector
from orchestrator.broker.stream import EventStream
from orchestrator.controller.progress import Progress
from orchestrator.controller.recorder import Recorder
from orchestrator.ledger import leadership
from orchestrator.tasks.ids import new_token
from orchestrator.worker.link import AgentLink, Run
from tests.support.rows import insert_row, read_row
from tests.support.worker import publishable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.ledger.engine import Ledger
    from orchestrator.worker.link import BeatAnswer
    from tests.support.redis import RedisServer


@pytest.fixture
def recorder(ledger: Ledger, redis_server: RedisServer) -> Iterator[Recorder]:
    redis_server.bless()
    options = redis_server.options()
    stream, inspector = EventStream(options), Inspector(options)
    with ledger.transaction() as conn:
        term = leadership.acquire(conn, "test", 60.0) or 0
    yield Recorder(
        ledger=ledger, stream=stream, inspector=inspector, progress=Progress(),
        wake_publisher=threading.Event(), term=term, max_worker_losses=3,
    )  # fmt: skip
    stream.close()
    inspector.close()


@pytest.fixture
def link(redis_server: RedisServer) -> Iterator[AgentLink]:
    link = AgentLink(redis_server.options(), agent_id="probe-1", incarnation="life-1")
    yield link
    link.close()


def run_what_has_ended(ledger: Ledger, redis_server: RedisServer, link: AgentLink) -> Run:
    with ledger.transaction() as conn:
        task_id = insert_row(conn, status="cancelled")
    broker = Broker(redis_server.options())
    assert broker.publish([publishable(id=task_id)]) == ["QUEUED"]
    broker.close()
    run = Run(str(task_id), 1, new_token())
    link.register({"agent_id": "probe-1", "kind": "celery", "agent_type": "probe", "capabilities": []})
    assert link.claim(run, pid=1)[0] == "GRANTED"
    return run


def beat(link: AgentLink, run: Run, seq: int = 1) -> BeatAnswer:
    return link.beat(seq=seq, status="healthy", running=1, load={}, tokens=[run.token], held=[run])


def test_the_holder_is_told_to_stop(
    recorder: Recorder, ledger: Ledger, redis_server: RedisServer, link: AgentLink
) -> None:
    run = run_what_has_ended(ledger, redis_server, link)
    assert beat(link, run).stops == {}

    recorder.run_once()

    assert beat(link, run, seq=2).stops == {run.token: "cancelled"}
    assert link.report(run, "cancelled", "{}") == "ACCEPTED"
    recorder.run_once()
    client = redis_server.client()
    assert 0 < client.ttl(keys.task_key(run.task_id)) <= 120
    client.close()
    with ledger.transaction() as conn:
        assert read_row(conn, uuid.UUID(run.task_id)).status == "cancelled"


def test_it_is_told_as_soon_as_redis_is_trusted_again(
    recorder: Recorder, ledger: Ledger, redis_server: RedisServer, link: AgentLink
) -> None:
    run = run_what_has_ended(ledger, redis_server, link)
    client = redis_server.client()
    client.delete(keys.EPOCH)
    recorder.run_once()
    assert beat(link, run).stops == {}

    redis_server.bless()
    recorder.run_once()

    assert beat(link, run, seq=2).stops == {run.token: "cancelled"}
    client.close()
