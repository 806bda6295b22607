"""Celery as its documentation sets it up for tasks that must not be lost, with the handlers of the suite."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from billiard.exceptions import SoftTimeLimitExceeded
from celery import Celery

from orchestrator import PermanentError
from tests.chaos.agent import agent

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.agent import TaskType

VISIBILITY_SECONDS = 60
"""Longer than the longest task; the default of an hour would lose every dead worker's task for the run."""


def build(redis_url: str) -> Celery:
    """Return the application; broker and results are the same Redis."""
    app = Celery("stock", broker=redis_url, backend=redis_url, set_as_current=False)
    app.conf.update(
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        broker_transport_options={"visibility_timeout": VISIBILITY_SECONDS},
        result_backend_transport_options={"visibility_timeout": VISIBILITY_SECONDS},
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
    )
    for declared in agent.task_types.values():
        app.task(name=declared.name, bind=True)(_task(declared))
    return app


def _task(declared: TaskType) -> Callable[..., Any]:
    def run(self: Any, *, max_retries: int, retry_delay_seconds: float, **parameters: Any) -> Any:
        context = SimpleNamespace(task_id=self.request.id, attempt=self.request.retries + 1)
        try:
            return declared.handler(context, parameters)
        except (PermanentError, SoftTimeLimitExceeded):
            raise
        except Exception as error:
            raise self.retry(exc=error, countdown=retry_delay_seconds, max_retries=max_retries) from error

    return run
