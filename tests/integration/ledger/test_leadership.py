from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import pytest
from sqlalchemy import text

from orchestrator.errors import LedgerConflictError, LedgerUnavailableError, LostLeadershipError
from orchestrator.ledger import engine
from orchestrator.ledger.engine import Ledger
from orchestrator.ledger.leadership import acquire, assert_term, current, release, renew
from tests.support.rows import insert_row, read_row, set_row

if TYPE_CHECKING:
    import uuid

    from orchestrator.ledger.options import LedgerOptions
    from tests.support.postgres import PostgresServer

LEASE_SECONDS = 60.0


def _acquire(ledger: Ledger, holder: str, seconds: float = LEASE_SECONDS) -> int | None:
    with ledger.transaction() as connection:
        return acquire(connection, holder, seconds)


def _expire(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        connection.execute(text("UPDATE leadership_lease SET until = clock_timestamp() - interval '1 ms'"))


def test_the_first_to_ask_leads_and_nobody_else(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        assert current(connection) is None
    assert _acquire(ledger, "a") == 1
    assert _acquire(ledger, "b") is None

    with ledger.transaction() as connection:
        leader = current(connection)
        assert leader is not None
        assert (leader.holder, leader.term) == ("a", 1)
        assert 0 <= leader.age_seconds < 10


def test_of_many_that_ask_at_once_one_leads(ledger: Ledger) -> None:
    together = threading.Barrier(6, timeout=10)

    def ask(number: int) -> int | None:
        together.wait()
        return _acquire(ledger, f"holder-{number}")

    with ThreadPoolExecutor(6) as threads:
        terms = list(threads.map(ask, range(6)))
    assert sorted(term for term in terms if term is not None) == [1]


def test_a_lease_that_is_renewed_is_not_taken(ledger: Ledger) -> None:
    term = _acquire(ledger, "a", 0.0)
    assert term == 1
    with ledger.transaction() as connection:
        assert renew(connection, "a", term, LEASE_SECONDS)
    assert _acquire(ledger, "b") is None


def test_a_lease_that_ran_out_is_taken_over_under_a_new_term(ledger: Ledger) -> None:
    assert _acquire(ledger, "a") == 1
    _expire(ledger)
    assert _acquire(ledger, "b") == 2

    with ledger.transaction() as connection:
        assert not renew(connection, "a", 1, LEASE_SECONDS)
        release(connection, "a", 1)
        leader = current(connection)
        assert leader is not None
        assert (leader.holder, leader.term) == ("b", 2)


def test_a_lease_that_ran_out_may_be_renewed_while_nobody_took_it(ledger: Ledger) -> None:
    assert _acquire(ledger, "a") == 1
    _expire(ledger)
    with ledger.transaction() as connection:
        assert renew(connection, "a", 1, LEASE_SECONDS)
    assert _acquire(ledger, "b") is None


def test_a_renewal_that_waited_for_a_takeover_fails(ledger: Ledger) -> None:
    assert _acquire(ledger, "a") == 1
    _expire(ledger)
    with ThreadPoolExecutor(1) as threads:
        with ledger.transaction() as connection:
            assert acquire(connection, "b", LEASE_SECONDS) == 2

            def renew_old() -> bool:
                with ledger.transaction() as other:
                    return renew(other, "a", 1, LEASE_SECONDS)

            renewal = threads.submit(renew_old)
            _wait_until_blocked(ledger)
        assert renewal.result() is False


def _wait_until_blocked(ledger: Ledger) -> None:
    query = text("""
        SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
    """)
    while True:
        with ledger.transaction() as connection:
            if connection.execute(query).scalar_one():
                return


def test_leadership_that_is_let_go_can_be_had_at_once(ledger: Ledger) -> None:
    assert _acquire(ledger, "a") == 1
    with ledger.transaction() as connection:
        release(connection, "a", 1)
        assert current(connection) is None
    assert _acquire(ledger, "b") == 2


def test_a_term_that_is_over_writes_nothing(ledger: Ledger) -> None:
    assert _acquire(ledger, "a") == 1
    with ledger.transaction() as connection:
        task_id = insert_row(connection)
        assert_term(connection, 1)
    _expire(ledger)
    assert _acquire(ledger, "b") == 2

    with pytest.raises(LostLeadershipError), ledger.transaction() as connection:  # noqa: PT012 - the end of the block
        set_row(connection, task_id, error="written by the old leader")
        assert_term(connection, 1)
    with ledger.transaction() as connection:
        assert read_row(connection, task_id).error is None


def test_no_term_is_nobodys(ledger: Ledger) -> None:
    with pytest.raises(LostLeadershipError), ledger.transaction() as connection:
        assert_term(connection, 1)


def test_a_takeover_waits_for_what_the_leader_has_under_way(
    ledger: Ledger, ledger_options: LedgerOptions
) -> None:
    assert ledger_options.timeout_seconds == 5.0
    assert _acquire(ledger, "a") == 1
    _expire(ledger)
    with ledger.transaction() as leader:
        assert_term(leader, 1)
        with pytest.raises(LedgerConflictError), ledger.transaction() as standby:  # noqa: PT012 - the end of the block
            standby.execute(text("SET LOCAL lock_timeout = '50ms'"))
            acquire(standby, "b", LEASE_SECONDS)
        with ledger.transaction() as beat:
            assert renew(beat, "a", 1, LEASE_SECONDS), "renewing must not wait for a pass"


def _write_as_leader(options: LedgerOptions, task_id: uuid.UUID, inside: object, go_on: object) -> None:
    """Begin a pass of term 1, tell, and write on when told: exit with 3 if the ledger does not let it."""
    engine.IDLE_IN_TRANSACTION_SECONDS = 0.5
    ledger = Ledger(options, application_name="test-leader")
    try:
        with ledger.transaction(60) as connection:
            assert_term(connection, 1)
            set_row(connection, task_id, error="before the freeze")
            inside.set()  # type: ignore[attr-defined]
            go_on.wait(60)  # type: ignore[attr-defined]
            set_row(connection, task_id, error="after the freeze")
    except LedgerUnavailableError:
        os._exit(3)
    os._exit(0)


def test_a_leader_frozen_inside_a_pass_is_succeeded_and_cannot_write_on(
    postgres_server: PostgresServer, ledger: Ledger, ledger_options: LedgerOptions
) -> None:
    assert _acquire(ledger, "a") == 1
    with ledger.transaction() as connection:
        task_id = insert_row(connection)
    spawn = multiprocessing.get_context("spawn")
    inside, go_on = spawn.Event(), spawn.Event()
    old = spawn.Process(target=_write_as_leader, args=(ledger_options, task_id, inside, go_on))
    old.start()
    try:
        assert inside.wait(30)
        assert old.pid is not None
        os.kill(old.pid, signal.SIGSTOP)
        _expire(ledger)

        assert _acquire(ledger, "b") == 2
        assert postgres_server.connections("test-leader") == 0
        os.kill(old.pid, signal.SIGCONT)
        go_on.set()
        old.join(30)
    finally:
        if old.is_alive():
            psutil.Process(old.pid).kill()
            old.join()

    assert old.exitcode == 3
    with ledger.transaction() as connection:
        assert read_row(connection, task_id).error is None
