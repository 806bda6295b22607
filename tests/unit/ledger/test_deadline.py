from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import psycopg2
import pytest
from psycopg2 import extensions

from orchestrator.ledger.deadline import DeadlinePassedError, bound_waits, socket_deadline, wait_for_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _connect(port: int) -> None:
    psycopg2.connect(host="127.0.0.1", port=port, user="nobody", dbname="none")


@pytest.fixture(autouse=True)
def _bounded() -> None:
    bound_waits()


def test_a_silent_server_is_waited_for_until_the_deadline(silent: int) -> None:
    began = time.monotonic()
    with socket_deadline(0.2), pytest.raises(DeadlinePassedError):
        _connect(silent)
    assert 0.2 <= time.monotonic() - began < 1.0


@pytest.mark.parametrize(("outer", "inner"), [(0.1, 60.0), (60.0, 0.1)])
def test_the_nearest_of_nested_deadlines_holds(silent: int, outer: float, inner: float) -> None:
    began = time.monotonic()
    with socket_deadline(outer), socket_deadline(inner), pytest.raises(DeadlinePassedError):
        _connect(silent)
    assert time.monotonic() - began < 1.0


def test_a_deadline_in_the_past_waits_no_more(silent: int) -> None:
    began = time.monotonic()
    with socket_deadline(-1.0), pytest.raises(DeadlinePassedError):
        _connect(silent)
    assert time.monotonic() - began < 0.5


def test_the_outer_deadline_holds_again_after_the_inner_block(silent: int) -> None:
    with socket_deadline(0.3):
        with socket_deadline(0.01), pytest.raises(DeadlinePassedError):
            _connect(silent)
        began = time.monotonic()
        with pytest.raises(DeadlinePassedError):
            _connect(silent)
        assert time.monotonic() - began > 0.1


def test_another_wait_callback_is_not_replaced() -> None:
    def other(_connection: object) -> None:
        raise AssertionError

    extensions.set_wait_callback(other)
    try:
        with pytest.raises(RuntimeError, match="deadline"):
            bound_waits()
    finally:
        extensions.set_wait_callback(wait_for_server)
