"""What main learns about a delivery that its child cannot report: handed to the heartbeat thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from billiard.einfo import ExceptionWithTraceback  # type: ignore[attr-defined] # the stubs lack it
from billiard.exceptions import Terminated, WorkerLostError
from celery.worker.request import Request

from orchestrator.tasks.ids import parse_celery_id
from orchestrator.worker.slots import Doom

if TYPE_CHECKING:
    from orchestrator.worker.heartbeat import Heartbeat


def request_class(heartbeat: Heartbeat) -> type[Request]:
    """Return an agent's Request class: it notes hard limits and wakes the heartbeat for lost children."""

    class DeliveryRequest(Request):
        def on_timeout(self, soft: bool, timeout: float) -> None:
            parsed = parse_celery_id(self.id)
            if not soft and parsed is not None:
                heartbeat.doom(*parsed, Doom.HARD_TIME_LIMIT)
            super().on_timeout(soft, timeout)

        def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
            error = exc_info.exception
            error = error.exc if isinstance(error, ExceptionWithTraceback) else error
            if isinstance(error, (WorkerLostError, Terminated, SystemExit)):
                heartbeat.wake()
            return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)

    return DeliveryRequest
