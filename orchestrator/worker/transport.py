"""Kombu's Redis transport, changed in one thing: what becomes of messages that were popped and not begun."""

from __future__ import annotations

from queue import Empty
from typing import Any

import structlog
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from kombu.utils.json import dumps

ALIAS = "orchestrator"

log = structlog.get_logger(__name__)


class Channel(kombu_redis.Channel):
    """Puts unstarted messages back at their list's head on a clean stop, and nowhere else.

    Stock kombu without acknowledgement emulation appends them to the tail, where they would look lost; and on
    a lost connection it would put back what a child runs already, or dump parameters into the temporary
    folder.
    """

    def _brpop_read(self, **options: Any) -> Any:
        """Deliver what BRPOP brought; drop and log an entry that is no message, which would end the worker.

        Only publishers of ours write here, so such an entry was damaged: its task is found lost and delivered
        again.
        """
        try:
            return super()._brpop_read(**options)  # type: ignore[misc] # the stubs lack it
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            log.exception("damaged_message_dropped")
            raise Empty from error

    def _restore(self, message: Any, leftmost: bool = False) -> None:  # noqa: ARG002 - kombu's signature
        info = message.delivery_info
        payload = message.serializable()
        queue = self._q_for_pri(  # type: ignore[attr-defined] # the stubs lack it
            info["routing_key"], self._get_message_priority(payload)
        )
        with self.conn_or_acquire() as client:
            client.rpush(queue, dumps(payload))

    def _on_connection_disconnect(self, connection: Any) -> None:
        self.qos.restore_at_shutdown = False
        super()._on_connection_disconnect(connection)  # type: ignore[misc] # the stubs lack it


class Transport(kombu_redis.Transport):
    """The transport of workers."""

    Channel = Channel


def register() -> None:
    """Make the transport known to kombu under ALIAS."""
    TRANSPORT_ALIASES[ALIAS] = f"{__name__}:Transport"


def broker_url(redis_url: str) -> str:
    """Return the URL under which kombu reaches the Redis of `redis_url` (redis://, rediss:// or unix://)."""
    scheme, rest = redis_url.split("://", 1)
    if scheme != "unix":
        return redis_url
    credentials, at, path = rest.rpartition("@")
    path, _, query = path.partition("?")
    database = query.removeprefix("db=") or "0"
    return f"{ALIAS}+socket://{credentials}{at}{path}?virtual_host={database}"
