from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from orchestrator.errors import (
    LedgerConflictError,
    LedgerDataError,
    LedgerUnavailableError,
    SettingsError,
)
from orchestrator.ledger.engine import Ledger
from orchestrator.ledger.options import LedgerOptions

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer


def _table(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        connection.execute(text("CREATE TABLE sample (id int PRIMARY KEY, note text)"))


def _rows(ledger: Ledger) -> list[int]:
    with ledger.transaction() as connection:
        return list(connection.execute(text("SELECT id FROM sample ORDER BY id")).scalars())


def test_a_transaction_commits_at_the_end_of_its_block(ledger: Ledger) -> None:
    _table(ledger)
    with ledger.transaction() as connection:
        connection.execute(text("INSERT INTO sample VALUES (1)"))

    assert _rows(ledger) == [1]


def test_an_exception_of_the_block_rolls_back_and_passes_through(ledger: Ledger) -> None:
    _table(ledger)
    with pytest.raises(LookupError, match="mine"), ledger.transaction() as connection:  # noqa: PT012 - the end of the block
        connection.execute(text("INSERT INTO sample VALUES (1)"))
        raise LookupError("mine")

    assert _rows(ledger) == []


def test_a_swallowed_failure_does_not_look_like_a_commit(ledger: Ledger) -> None:
    _table(ledger)
    with (  # noqa: PT012 - the end of the block
        pytest.raises(LedgerDataError, match="nothing of it"),
        ledger.transaction() as connection,
    ):
        connection.execute(text("INSERT INTO sample VALUES (1)"))
        with pytest.raises(LedgerDataError):
            connection.execute(text("INSERT INTO sample VALUES (1)"))

    assert _rows(ledger) == []


def test_a_savepoint_keeps_the_rest_of_the_transaction(ledger: Ledger) -> None:
    _table(ledger)
    with ledger.transaction() as connection:
        connection.execute(text("INSERT INTO sample VALUES (1)"))
        with pytest.raises(LedgerDataError), connection.begin_nested():
            connection.execute(text("INSERT INTO sample VALUES (1)"))
        connection.execute(text("INSERT INTO sample VALUES (2)"))

    assert _rows(ledger) == [1, 2]


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ("INSERT INTO sample VALUES (1, :note)", {"note": "a\x00b"}),
        ("INSERT INTO sample VALUES (1, :note)", {"note": "a\ud800b"}),
        ("SELECT CAST(:note AS json)", {"note": "{"}),
        ("SELECT CAST(:note AS int)", {"note": "99999999999999"}),
    ],
)
def test_values_that_cannot_be_stored_are_named_as_such(
    ledger: Ledger, statement: str, values: dict[str, str]
) -> None:
    _table(ledger)
    with pytest.raises(LedgerDataError), ledger.transaction() as connection:
        connection.execute(text(statement), values)


@pytest.mark.parametrize("kind", [ValueError, TimeoutError, ConnectionError])
def test_an_error_of_the_block_is_its_own(ledger: Ledger, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="not the ledger's"), ledger.transaction():
        raise kind("not the ledger's")


def test_a_lock_is_waited_for_only_half_the_time(postgres_server: PostgresServer, database: str) -> None:
    ledger = Ledger(postgres_server.options(database, timeout_seconds=0.8), application_name="test-lock")
    _table(ledger)
    with ledger.transaction() as connection:
        connection.execute(text("INSERT INTO sample VALUES (1)"))
    with ledger.transaction() as holder:
        holder.execute(text("SELECT * FROM sample FOR UPDATE"))
        with pytest.raises(LedgerConflictError), ledger.transaction() as connection:
            connection.execute(text("SELECT * FROM sample FOR UPDATE"))
    ledger.close()


def test_the_session_carries_its_bounds(ledger: Ledger, ledger_options: LedgerOptions) -> None:
    with ledger.transaction() as connection:
        shown = {
            name: connection.execute(text(f"SHOW {name}")).scalar_one()
            for name in (
                "statement_timeout",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
                "application_name",
                "timezone",
            )
        }
    assert ledger_options.timeout_seconds == 5.0
    assert shown == {
        "statement_timeout": "5s",
        "lock_timeout": "2500ms",
        "idle_in_transaction_session_timeout": "5s",
        "application_name": "test",
        "timezone": "UTC",
    }


def test_a_longer_transaction_raises_the_bounds_for_itself_alone(ledger: Ledger) -> None:
    with ledger.transaction(20) as connection:
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "20s"
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "10s"
    with ledger.transaction() as connection:
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "5s"


def test_a_slow_statement_is_cut_at_the_deadline(ledger: Ledger) -> None:
    began = time.monotonic()
    with pytest.raises(LedgerUnavailableError), ledger.transaction(0.2) as connection:
        connection.execute(text("SELECT pg_sleep(4)"))
    assert time.monotonic() - began < 1.0
    assert ledger.ping() < 1.0


def test_the_deadline_covers_statements_together(ledger: Ledger) -> None:
    began = time.monotonic()
    with pytest.raises(LedgerUnavailableError), ledger.transaction(0.4) as connection:  # noqa: PT012 - the end of the block
        for _ in range(20):
            connection.execute(text("SELECT pg_sleep(0.1)"))
    assert time.monotonic() - began < 1.0


def test_a_full_pool_answers_within_the_deadline(postgres_server: PostgresServer, database: str) -> None:
    ledger = Ledger(postgres_server.options(database, pool_size=1), application_name="test-full")
    began = time.monotonic()
    with ledger.transaction(), pytest.raises(LedgerUnavailableError, match="in use"), ledger.transaction(0.1):
        pass
    assert time.monotonic() - began < 1.0
    ledger.ping()
    ledger.close()


def test_a_connection_that_was_cut_in_the_pool_costs_no_failure(
    postgres_server: PostgresServer, database: str
) -> None:
    ledger = Ledger(postgres_server.options(database), application_name="test-cut")
    ledger.ping()
    postgres_server.run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'test-cut'"
    )

    assert ledger.ping() < 5.0
    ledger.close()


def test_a_connection_that_is_cut_in_use_fails_that_transaction_only(
    postgres_server: PostgresServer, database: str
) -> None:
    ledger = Ledger(postgres_server.options(database), application_name="test-cut-in-use")
    with pytest.raises(LedgerUnavailableError), ledger.transaction() as connection:  # noqa: PT012 - the end of the block
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        postgres_server.run(f"SELECT pg_terminate_backend({pid}, 5000)")
        connection.execute(text("SELECT 1"))

    ledger.ping()
    assert postgres_server.connections("test-cut-in-use") == 1
    ledger.close()


def test_threads_share_the_pool(postgres_server: PostgresServer, database: str) -> None:
    ledger = Ledger(postgres_server.options(database, pool_size=3), application_name="test-threads")
    together = threading.Barrier(3, timeout=10)

    def use(number: int) -> int:
        with ledger.transaction() as connection:
            together.wait()
            return int(
                connection.execute(text("SELECT CAST(:number AS int)"), {"number": number}).scalar_one()
            )

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(use, range(12))) == list(range(12))
    assert postgres_server.connections("test-threads") == 3
    ledger.close()


def test_a_unix_socket_will_do(postgres_server: PostgresServer, database: str) -> None:
    options = LedgerOptions(database_url=postgres_server.socket_url(database), timeout_seconds=5.0)
    ledger = Ledger(options, application_name="test-socket")
    with ledger.transaction() as connection:
        assert connection.execute(text("SELECT inet_server_addr()")).scalar_one() is None
    ledger.close()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_usual_scheme_is_taken(postgres_server: PostgresServer, database: str, scheme: str) -> None:
    url = postgres_server.url(database).replace("postgresql", scheme, 1)
    ledger = Ledger(LedgerOptions(database_url=url), application_name="test")
    ledger.ping()
    ledger.close()


def test_an_address_that_is_none_is_refused_without_its_password() -> None:
    with pytest.raises(SettingsError) as refused:
        Ledger(
            LedgerOptions(database_url="postgresql://me:s3cret@host/db?nonsense=1"), application_name="test"
        )
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_nobody_there_is_unavailable(postgres_server: PostgresServer, database: str) -> None:
    options = LedgerOptions(database_url=f"postgresql://me:pw@127.0.0.1:1/{database}", timeout_seconds=1.0)
    ledger = Ledger(options, application_name="test")
    with pytest.raises(LedgerUnavailableError):
        ledger.ping()
    with pytest.raises(LedgerUnavailableError):
        ledger.ping()
    ledger.close()


def test_a_wrong_password_is_unavailable_and_not_told(postgres_server: PostgresServer, database: str) -> None:
    url = postgres_server.url(database).replace("test-password", "wr0ng-one")
    ledger = Ledger(LedgerOptions(database_url=url), application_name="test")
    with pytest.raises(LedgerUnavailableError) as refused:
        ledger.ping()
    assert "wr0ng-one" not in str(refused.value)
    ledger.close()


def test_closing_leaves_no_connection(postgres_server: PostgresServer, database: str) -> None:
    ledger = Ledger(postgres_server.options(database), application_name="test-close")
    ledger.ping()
    ledger.close()

    deadline = time.monotonic() + 10
    while postgres_server.connections("test-close"):
        assert time.monotonic() < deadline
