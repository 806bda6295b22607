from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from celery import Celery, signals
from celery.concurrency import prefork

from orchestrator.agent import Agent
from orchestrator.broker.options import BrokerOptions
from orchestrator.worker.lifecycle import Lifecycle
from orchestrator.worker.options import AgentOptions


class Consumer:
    """A consumer that is ready, with a timer that nobody drives."""

    @property
    def timer(self) -> Consumer:
        return self

    def call_repeatedly(self, *_: Any) -> None:
        """Take the call."""


def test_an_agent_that_cannot_register_at_once_beats_until_it_can() -> None:
    """It takes tasks all the same: without heartbeats each would be given away while it runs."""
    away = BrokerOptions(redis_url="redis://127.0.0.1:1/0", connect_timeout_seconds=0.1)
    lifecycle = Lifecycle(Celery("probe", set_as_current=False), Agent("probe"), away, AgentOptions())
    lifecycle.prepare(SimpleNamespace(pool_cls=prefork.TaskPool, hostname="probe-1@here", concurrency=1))
    signals.worker_ready.connect(lifecycle._ready)

    signals.worker_ready.send(sender=Consumer())

    names = {thread.name for thread in threading.enumerate()}
    signals.worker_ready.disconnect(lifecycle._ready)
    assert lifecycle.heartbeat is not None
    assert lifecycle.executor is not None
    lifecycle.heartbeat.finish(10.0)
    lifecycle.executor.table.close()
    assert "orchestrator-heartbeat" in names
