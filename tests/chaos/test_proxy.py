"""The proxy passes, delays, cuts and half-opens."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.proxy import Loop, Mode, Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_SECONDS = 0.3


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy in front of a server that sends back what it gets."""
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_echo_for_ever, args=(server,), daemon=True).start()
    loop = Loop()
    proxy = Proxy(loop, "test", server.getsockname()[1])
    yield proxy
    proxy.close()
    loop.close()
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def _echo_for_ever(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(connection,), daemon=True).start()


def _echo(connection: socket.socket) -> None:
    with connection:
        try:
            while data := connection.recv(100):
                connection.sendall(data)
        except OSError:
            return


def ask(connection: socket.socket) -> bytes:
    connection.sendall(b"x")
    return connection.recv(1)


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def test_it_passes_and_delays(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert ask(connection) == b"x"
        proxy.set(Mode.DELAY, 0.1)
        started = time.monotonic()
        assert ask(connection) == b"x"
        assert time.monotonic() - started >= 0.2


def is_dead(connection: socket.socket) -> bool:
    try:
        return not ask(connection)
    except ConnectionError:
        return True


def test_a_cut_resets_present_and_new_connections_until_it_is_mended(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert ask(connection) == b"x"
        proxy.set(Mode.CUT)
        assert is_dead(connection)
    with connect(proxy) as late:
        assert is_dead(late)

    proxy.set(Mode.PASS)
    with connect(proxy) as mended:
        assert ask(mended) == b"x"


def test_a_half_open_connection_stays_and_says_nothing(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert ask(connection) == b"x"
        proxy.set(Mode.HALF_OPEN)
        connection.settimeout(PATIENCE_SECONDS)
        with pytest.raises(TimeoutError):
            ask(connection)
        with connect(proxy) as late:
            late.settimeout(PATIENCE_SECONDS)
            with pytest.raises(TimeoutError):
                ask(late)
