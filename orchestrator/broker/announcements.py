"""Which tasks have just ended: the controller tells, every API process in which somebody waits listens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from orchestrator.broker import keys
from orchestrator.errors import BrokerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import redis
    from redis.client import PubSub

IDS_PER_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Announcement:
    """Tasks that have ended; `reread_all` when some may have been missed."""

    ids: frozenset[str]
    reread_all: bool = False


class Announcements:
    """One listener. The first thing it says after each new connection: everything must be read again."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._pubsub: PubSub | None = None

    def next(self, timeout_seconds: float) -> Announcement | None:
        """Return the next announcement, or None if none came in time.

        Raises BrokerUnavailableError when Redis is away; the next call subscribes again.
        """
        try:
            if self._pubsub is None:
                pubsub: PubSub = self._client.pubsub(  # type: ignore[no-untyped-call] # untyped in redis-py
                    ignore_subscribe_messages=False
                )
                pubsub.subscribe(keys.FINISHED)
                self._pubsub = pubsub
            message = self._pubsub.get_message(timeout=timeout_seconds)
        except (RedisError, OSError) as error:
            self.close()
            raise BrokerUnavailableError(f"Redis does not answer: {error}") from error
        if message is None:
            return None
        if message["type"] == "subscribe" or message["data"] == keys.REREAD_ALL:
            return Announcement(frozenset(), reread_all=True)
        return Announcement(frozenset(str(message["data"]).split()))

    def close(self) -> None:
        """Let the subscription go; the next `next` makes a new one."""
        if self._pubsub is not None:
            self._pubsub.close()
            self._pubsub = None


def announce(client: redis.Redis, ids: Iterable[str], *, reread_all: bool = False) -> None:
    """Tell every listener which tasks have ended. Raises BrokerUnavailableError."""
    listed = list(ids)
    messages = [" ".join(listed[i : i + IDS_PER_MESSAGE]) for i in range(0, len(listed), IDS_PER_MESSAGE)]
    try:
        with client.pipeline(transaction=False) as pipe:
            for message in [keys.REREAD_ALL, *messages] if reread_all else messages:
                pipe.publish(keys.FINISHED, message)
            pipe.execute()
    except (RedisError, OSError) as error:
        raise BrokerUnavailableError(f"Redis does not answer: {error}") from error
