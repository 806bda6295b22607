"""Connections to Redis that never wait without a bound and always know which server they speak to."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.connection import SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

if TYPE_CHECKING:
    from orchestrator.broker.options import BrokerOptions

MAX_CONNECTIONS = 64
"""Connections of one process; a further caller is refused rather than queued."""


class _RunId:
    """Stands in a command's arguments for the run id of the server that will receive it."""


RUN_ID = _RunId()


@dataclass(slots=True)
class ServerClock:
    """Redis' clock as this process last heard it, carried forward by the monotonic clock."""

    offset_ms: float = 0.0

    def heard(self, redis_ms: float) -> None:
        """Note what the server's clock says now."""
        self.offset_ms = redis_ms - time.monotonic() * 1000

    def now_ms(self) -> int:
        """Return an estimate of the server's time in epoch milliseconds."""
        return int(time.monotonic() * 1000 + self.offset_ms)


class _KnowsItsServer:
    """Reads run id and clock once per connection, and puts the run id into the commands that ask for it.

    A command is packed after its connection is up, so that it can never carry the run id of a dead server.
    """

    server_run_id = ""
    _command_packer: Any

    def __init__(self, *args: Any, clock: ServerClock, **kwargs: Any) -> None:
        self._clock = clock
        super().__init__(*args, **kwargs)
        self._command_packer = _RunIdPacker(self, self._command_packer)

    def on_connect_check_health(self, check_health: bool = True) -> None:
        super().on_connect_check_health(check_health)  # type: ignore[misc]
        self.send_command("INFO", "server", check_health=False)  # type: ignore[attr-defined]
        info = _text(self.read_response())  # type: ignore[attr-defined]
        self.server_run_id = info.split("run_id:", 1)[1].split("\r\n", 1)[0]
        self.send_command("TIME", check_health=False)  # type: ignore[attr-defined]
        seconds, micros = self.read_response()  # type: ignore[attr-defined]
        self._clock.heard(int(seconds) * 1000 + int(micros) / 1000)


class _RunIdPacker:
    """Packs commands as redis-py does, with RUN_ID replaced by what the connection learned."""

    def __init__(self, connection: Any, packer: Any) -> None:
        self._connection = connection
        self._packer = packer

    def pack(self, *args: Any) -> Any:
        if RUN_ID in args:
            if not self._connection.is_connected:
                self._connection.connect()
            args = tuple(self._connection.server_run_id if arg is RUN_ID else arg for arg in args)
        return self._packer.pack(*args)


class _TcpConnection(_KnowsItsServer, redis.Connection):
    pass


class _TlsConnection(_KnowsItsServer, SSLConnection):
    pass


class _SocketConnection(_KnowsItsServer, UnixDomainSocketConnection):
    pass


def connect(
    options: BrokerOptions, clock: ServerClock, *, command_timeout_seconds: float | None = None
) -> redis.Redis:
    """Return a client whose every connect and command is bounded and sent once, never repeated by itself."""
    scheme = options.redis_url.split("://", 1)[0]
    connection_class = {"unix": _SocketConnection, "rediss": _TlsConnection}.get(scheme, _TcpConnection)
    over_tcp = {} if scheme == "unix" else {"socket_keepalive": True}
    pool = redis.ConnectionPool.from_url(
        options.redis_url,
        connection_class=connection_class,
        max_connections=MAX_CONNECTIONS,
        socket_connect_timeout=options.connect_timeout_seconds,
        socket_timeout=command_timeout_seconds or options.command_timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        protocol=2,
        clock=clock,
        **over_tcp,
    )
    return redis.Redis(connection_pool=pool)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
