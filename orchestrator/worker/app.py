"""The Celery application of an agent: an ordinary one, with the settings that the delivery protocol needs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from celery import Celery

from orchestrator.broker.options import BrokerOptions, with_redis_url
from orchestrator.environment import read, refuse_slips
from orchestrator.tasks.routing import PRIORITY_SEPARATOR, PRIORITY_STEPS, capability_queue
from orchestrator.worker import transport
from orchestrator.worker.lifecycle import Lifecycle
from orchestrator.worker.options import AgentOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.agent import Agent, TaskType

SOCKET_TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 3.0
HEALTH_CHECK_SECONDS = 10

TRANSPORT_OPTIONS = {
    "ack_emulation": False,
    "priority_steps": PRIORITY_STEPS,
    "sep": PRIORITY_SEPARATOR,
    "queue_order_strategy": "round_robin",
    "socket_timeout": SOCKET_TIMEOUT_SECONDS,
    "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
    "socket_keepalive": True,
    "health_check_interval": HEALTH_CHECK_SECONDS,
}
"""Shared by all who use the queues by kombu. No acknowledgement emulation: the ledger repairs losses."""


def celery_settings(redis_url: str) -> dict[str, Any]:
    """Return the Celery settings that workers and Flower share."""
    return {
        "broker_url": transport.broker_url(redis_url),
        "broker_transport": transport.ALIAS,
        "broker_transport_options": TRANSPORT_OPTIONS,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "result_backend": None,
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,
        "task_create_missing_queues": False,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        "worker_disable_rate_limits": True,
        "worker_hijack_root_logger": False,
        "worker_consumer": "orchestrator.worker.consumer:AgentConsumer",
    }


def build(agent: Agent, broker: BrokerOptions, options: AgentOptions) -> Celery:
    """Return the application of an agent; nothing is connected yet."""
    transport.register()
    app = Celery(agent.agent_type, set_as_current=False)
    app.conf.update(celery_settings(broker.redis_url))
    lifecycle = Lifecycle(app, agent, broker, options)
    for declared in agent.task_types.values():
        app.task(_task(lifecycle, declared), **_task_options(agent, declared))
    lifecycle.connect_signals()
    return app


def build_from_environment(agent: Agent) -> Celery:
    """Return the application of an agent with the settings of the environment. Raises SettingsError."""
    refuse_slips(os.environ, BrokerOptions, AgentOptions)
    broker, options = read(BrokerOptions, AgentOptions, environ=with_redis_url(os.environ))
    return build(agent, broker, options)


def _task_options(agent: Agent, declared: TaskType) -> dict[str, Any]:
    return {
        "name": capability_queue(agent.agent_type, declared.name),
        "bind": True,
        "throws": (),
        "max_retries": None,
        "typing": False,
    }


def _task(lifecycle: Lifecycle, declared: TaskType) -> Callable[..., None]:
    def deliver(self: Any, *_: Any, **message: Any) -> None:
        if lifecycle.executor is None:
            raise RuntimeError("an agent's task runs only inside its worker")
        lifecycle.executor.run(declared, self.request.id, message)

    deliver.__doc__ = declared.handler.__doc__
    return deliver
