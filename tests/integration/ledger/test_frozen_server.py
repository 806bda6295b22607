"""PostgreSQL stopped by SIGSTOP: the kernel still takes what is sent, nobody ever answers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from orchestrator.errors import CommitUnknownError, LedgerUnavailableError
from orchestrator.ledger.engine import Ledger
from tests.support.postgres import run_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PostgresServer

CLIENTS = 50
BOUND_SECONDS = 2.0
TIMEOUT_SECONDS = 1.0
POOL_SIZE = 4


@pytest.fixture(scope="module")
def module_server() -> Iterator[PostgresServer]:
    yield from run_server()


@pytest.fixture
def server(module_server: PostgresServer) -> Iterator[PostgresServer]:
    yield module_server
    module_server.thaw()


@pytest.fixture(params=["tcp", "socket"])
def ledger(server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[Ledger]:
    url = server.url("postgres") if request.param == "tcp" else server.socket_url("postgres")
    options = server.options(
        "postgres", database_url=url, pool_size=POOL_SIZE, timeout_seconds=TIMEOUT_SECONDS
    )
    ledger = Ledger(options, application_name="test-frozen")
    yield ledger
    ledger.close()


def _ask(ledger: Ledger) -> tuple[str, float]:
    began = time.monotonic()
    try:
        ledger.ping()
    except LedgerUnavailableError as error:
        return type(error).__name__, time.monotonic() - began
    return "ok", time.monotonic() - began


def _ask_at_once(ledger: Ledger) -> list[tuple[str, float]]:
    with ThreadPoolExecutor(CLIENTS) as threads:
        return list(threads.map(_ask, [ledger] * CLIENTS))


def _hold_whole_pool(ledger: Ledger) -> None:
    with ExitStack() as held:
        for _ in range(POOL_SIZE):
            held.enter_context(ledger.transaction()).execute(text("SELECT 1"))


def _wait_for_pool(server: PostgresServer, name: str) -> None:
    """Connections that were thrown away while the server was frozen go once it reads its sockets again."""
    ends_at = time.monotonic() + 10
    while server.connections(name) > POOL_SIZE:
        assert time.monotonic() < ends_at, "connections leak"


def test_every_thread_is_answered_in_time_and_the_pool_recovers(
    server: PostgresServer, ledger: Ledger
) -> None:
    assert {answer for answer, _ in _ask_at_once(ledger)} == {"ok"}

    server.freeze()
    for _ in range(2):
        frozen = _ask_at_once(ledger)
        assert {answer for answer, _ in frozen} == {"LedgerUnavailableError"}
        assert max(seconds for _, seconds in frozen) < BOUND_SECONDS

    server.thaw()
    assert {answer for answer, _ in _ask_at_once(ledger)} == {"ok"}
    _hold_whole_pool(ledger)
    _wait_for_pool(server, "test-frozen")


def test_connecting_to_a_frozen_server_is_bounded(server: PostgresServer, ledger: Ledger) -> None:
    server.freeze()
    answer, seconds = _ask(ledger)
    assert (answer, seconds < BOUND_SECONDS) == ("LedgerUnavailableError", True)

    server.thaw()
    assert _ask(ledger)[0] == "ok"


def test_freezing_inside_commit_leaves_the_end_unknown(server: PostgresServer, ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS sample (id int)"))
        connection.execute(text("TRUNCATE sample"))

    began = time.monotonic()
    with pytest.raises(CommitUnknownError), ledger.transaction() as connection:  # noqa: PT012 - the end of the block
        connection.execute(text("INSERT INTO sample VALUES (1)"))
        server.freeze()
    assert time.monotonic() - began < BOUND_SECONDS

    server.thaw()
    with ledger.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM sample")).scalar_one() in (0, 1)


def test_an_exception_of_the_block_is_told_even_if_the_server_cannot_roll_back(
    server: PostgresServer, ledger: Ledger
) -> None:
    began = time.monotonic()
    with pytest.raises(LookupError), ledger.transaction() as connection:  # noqa: PT012 - the end of the block
        connection.execute(text("SELECT 1"))
        server.freeze()
        raise LookupError
    assert time.monotonic() - began < BOUND_SECONDS

    server.thaw()
    assert _ask(ledger)[0] == "ok"


def test_a_server_that_dies_and_returns_is_found_again(server: PostgresServer, ledger: Ledger) -> None:
    ledger.ping()
    server.stop()
    answer, seconds = _ask(ledger)
    assert (answer, seconds < BOUND_SECONDS) == ("LedgerUnavailableError", True)

    server.start()
    assert {answer for answer, _ in _ask_at_once(ledger)} == {"ok"}


@pytest.fixture
def program(server: PostgresServer) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "tests.support.ledger_under_gevent",
        server.url("postgres"),
        str(CLIENTS),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        yield program
        server.thaw()
        program.communicate(timeout=20)
    assert program.returncode == 0


def _tell(program: subprocess.Popen[str], word: str) -> Any:
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write(f"{word}\n")
    program.stdin.flush()
    line = program.stdout.readline()
    assert line, "the program has ended"
    return json.loads(line)


def test_every_greenlet_is_answered_in_time_and_no_other_waits(
    server: PostgresServer, program: subprocess.Popen[str]
) -> None:
    assert _tell(program, "ask")["answers"] == ["ok"]

    server.freeze()
    for _ in range(2):
        frozen = _tell(program, "ask")
        assert frozen["answers"] == ["LedgerUnavailableError"]
        assert frozen["seconds"] < BOUND_SECONDS
        assert frozen["gap"] < 0.5

    server.thaw()
    assert _tell(program, "ask")["answers"] == ["ok"]
    assert _tell(program, "hold") == "ok"
    _wait_for_pool(server, "test-gevent")


@pytest.mark.parametrize(("word", "answer"), [("cut", "LookupError"), ("commit", "CommitUnknownError")])
def test_a_greenlet_cannot_be_held_by_the_end_of_its_transaction(
    server: PostgresServer, program: subprocess.Popen[str], word: str, answer: str
) -> None:
    assert _tell(program, word) == "inside"
    server.freeze()
    began = time.monotonic()
    assert _tell(program, "go") == answer
    assert time.monotonic() - began < BOUND_SECONDS

    server.thaw()
    assert _tell(program, "hold") == "ok"
