"""Events that nobody should have written: set aside with their reason, and no task waits for them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from orchestrator.broker import keys
from orchestrator.broker.inspection import Inspector
from orchestrator.broker.stream import EventStream
from orchestrator.controller.progress import Progress
from orchestrator.controller.recorder import Recorder
from orchestrator.ledger import leadership
from tests.support.rows import insert_row, read_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.ledger.engine import Ledger
    from tests.support.redis import RedisServer

GOOD = {"v": "1", "e": "completed", "n": "1", "k": "token", "a": "probe-1", "i": "life-1", "t": "1"}


@pytest.fixture
def recorder(ledger: Ledger, redis_server: RedisServer) -> Iterator[Recorder]:
    redis_server.bless()
    options = redis_server.options()
    stream, inspector = EventStream(options), Inspector(options)
    with ledger.transaction() as conn:
        term = leadership.acquire(conn, "test", 60.0) or 0
    yield Recorder(
        ledger=ledger,
        stream=stream,
        inspector=inspector,
        progress=Progress(),
        wake_publisher=threading.Event(),
        term=term,
        max_worker_losses=3,
    )
    stream.close()
    inspector.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"p": "no JSON"},
        {"p": "[1]"},
        {"v": "99", "p": '{"result": 1}'},
        {"t": "yesterday", "p": '{"result": 1}'},
        {"p": '{"result": 1e400}'},
        {"p": '{"result": 1, "lines": [7]}'},
        {"e": "failed", "p": '{"retryable": true, "retry_after": "soon"}'},
    ],
    ids=["no JSON", "no object", "a later format", "no time", "infinite", "odd lines", "odd delay"],
)
def test_an_outcome_that_cannot_be_recorded_ends_its_task_and_no_other(
    recorder: Recorder, ledger: Ledger, redis_server: RedisServer, changes: dict[str, Any]
) -> None:
    with ledger.transaction() as conn:
        bad, good = insert_row(conn), insert_row(conn)
    client = redis_server.client()
    client.xadd(keys.EVENTS, {**GOOD, "id": str(bad), **changes})
    client.xadd(keys.EVENTS, {**GOOD, "id": str(good), "p": '{"result": 7}'})

    report = recorder.run_once()

    with ledger.transaction() as conn:
        assert (read_row(conn, bad).status, read_row(conn, bad).error_code) == (
            "failed",
            "unrecordable_result",
        )
        assert (read_row(conn, good).status, read_row(conn, good).result_json) == ("completed", "7")
        assert conn.execute(text("SELECT count(*) FROM rejected_events")).scalar_one() == 1
    assert (report.rejected, client.xlen(keys.EVENTS)) == (1, 0)
    client.close()


def test_what_is_no_event_at_all_is_set_aside(
    recorder: Recorder, ledger: Ledger, redis_server: RedisServer
) -> None:
    client = redis_server.client()
    client.xadd(keys.EVENTS, {"hello": "world"})
    client.xadd(keys.EVENTS, {**GOOD, "id": "not a task", "p": "{}"})

    assert recorder.run_once().rejected == 2

    with ledger.transaction() as conn:
        reasons = conn.execute(text("SELECT reason FROM rejected_events ORDER BY id")).scalars().all()
    assert "event format None" in reasons[0]
    assert client.xlen(keys.EVENTS) == 0
    client.close()
