"""Celery's consumer, changed in one thing: a message that cannot be read never goes by unrecorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import signals
from celery.worker.consumer import Consumer

if TYPE_CHECKING:
    from collections.abc import Callable


class AgentConsumer(Consumer):
    """Tells `task_rejected` of every message that it gives up; Celery only logs one with a broken body.

    Celery lets an error while it looks at a strange message end the worker; here it is one more such message.
    """

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """Return what is called with each message."""
        receive = super().create_task_handler(*args, **kwargs)
        broker = self.app.connection_for_read()
        ours_to_raise = (*broker.connection_errors, *broker.channel_errors)

        def on_task_received(message: Any) -> None:
            try:
                _require_shape(message.payload)
                receive(message)
            except ours_to_raise:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a stranger's message makes Celery raise
                self.on_decode_error(message, error)

        return on_task_received

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Let the message go, and tell."""
        super().on_decode_error(message, exc)
        signals.task_rejected.send(sender=self, message=message, exc=exc)


def _require_shape(body: Any) -> None:
    """Refuse a body that Celery's child could not even call a task with (Message Protocol, version 2)."""
    match body:
        case [list(), dict(), dict()]:
            return
    raise ValueError("the body is not [arguments, keyword arguments, embedded]")
