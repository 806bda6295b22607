"""Connections to PostgreSQL: a bounded pool, and transactions that end within a deadline.

A connection that was cut while it lay in the pool is noticed before use (its socket is readable although
nothing was asked) and replaced, so a restart of PostgreSQL costs nobody a failure. One that is cut inside a
transaction costs that transaction: it may have been sent, and only the caller knows whether it can be
repeated. No transaction pooler may stand in between: the session's own settings bound what a frozen client
can hold.
"""

from __future__ import annotations

import select
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import extensions
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import QueuePool

from orchestrator.errors import (
    CommitUnknownError,
    LedgerDataError,
    LedgerUnavailableError,
    SettingsError,
)
from orchestrator.ledger.deadline import DeadlinePassedError, bound_waits, socket_deadline
from orchestrator.ledger.failures import translate_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    from orchestrator.ledger.options import LedgerOptions

    Deadline = Callable[[float], AbstractContextManager[object]]
    Transaction = Connection
    """What callers outside the ledger hand from one of its functions to the next."""

LOCK_SHARE = 0.5
"""The part of a transaction's time that it may wait for one lock."""
IDLE_IN_TRANSACTION_SECONDS = 5.0
"""A client that says nothing for so long inside a transaction loses it, and with it its locks."""
KEEPALIVES: dict[str, str] = {
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
"""The kernel gives a vanished host up after about ten seconds; a Unix socket ignores these."""

_RAISE_LIMITS = text(
    "SELECT set_config('statement_timeout', :whole, true), set_config('lock_timeout', :lock, true)"
)


class Ledger:
    """The way to PostgreSQL of one process, for threads, or for greenlets with a `deadline` that cuts them.

    `deadline(seconds)` is a context manager that interrupts its block when the time is up, by raising itself
    (as `gevent.Timeout` does) or DeadlinePassedError. The default bounds psycopg2 in ordinary threads.
    """

    def __init__(
        self, options: LedgerOptions, *, application_name: str, deadline: Deadline = socket_deadline
    ) -> None:
        if deadline is socket_deadline:
            bound_waits()
        self._deadline = deadline
        self._timeout_seconds = options.timeout_seconds
        self._slots = threading.BoundedSemaphore(options.pool_size)
        self._engine = _build_engine(options, application_name)

    @contextmanager
    def transaction(self, timeout_seconds: float | None = None) -> Iterator[Connection]:
        """Yield a connection inside a transaction that commits at the end of the block, or leaves no trace.

        Getting the connection, every statement and the commit share one deadline (else the ledger's own).
        Raises LedgerUnavailableError (CommitUnknownError if it happened inside COMMIT), LedgerConflictError,
        LedgerDataError, SchemaMismatchError; what the block raises passes through after a rollback.
        """
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        limit = self._deadline(seconds)
        use = _Use(self._engine, self._slots, limit)
        try:
            with limit:
                use.begin(seconds, raised=seconds > self._timeout_seconds)
                try:
                    yield use.connection
                    use.commit()
                except Exception as error:
                    use.roll_back(error)
                    raise
        except BaseException as error:
            use.throw_away()
            if use.is_deadline(error):
                raise use.unavailable("PostgreSQL did not answer in time") from error
            if use.committing and isinstance(error, LedgerUnavailableError):
                raise use.unavailable(str(error)) from error
            raise
        finally:
            use.release()

    def ping(self, timeout_seconds: float | None = None) -> float:
        """Return the seconds that a small question takes. Raises LedgerUnavailableError."""
        began = time.monotonic()
        with self.transaction(timeout_seconds) as connection:
            connection.execute(text("SELECT 1"))
        return time.monotonic() - began

    def close(self) -> None:
        """Close every idle connection; the ledger may be used again."""
        self._engine.dispose()


class _Use:
    """One slot of the pool in use by one transaction."""

    connection: Connection

    def __init__(self, engine: Engine, slots: threading.BoundedSemaphore, limit: object) -> None:
        self._engine = engine
        self._limit = limit
        self._slots = slots
        self._holds_slot = False
        self._connected = False
        self.committing = False

    def begin(self, seconds: float, *, raised: bool) -> None:
        """Take a slot and a connection; `raised`: it may last longer than the session's settings say."""
        if not self._slots.acquire(timeout=seconds):
            raise LedgerUnavailableError("every connection to PostgreSQL is in use")
        self._holds_slot = True
        self.connection = self._engine.connect()
        self._connected = True
        if raised:
            whole, lock = str(_milliseconds(seconds)), str(_milliseconds(seconds * LOCK_SHARE))
            self.connection.execute(_RAISE_LIMITS, {"whole": whole, "lock": lock})

    def commit(self) -> None:
        """Commit. Raises LedgerDataError after a swallowed failure: PostgreSQL would roll back in silence."""
        driver = self.connection.connection.dbapi_connection
        if driver is not None and driver.info.transaction_status == extensions.TRANSACTION_STATUS_INERROR:
            raise LedgerDataError("a statement of this transaction failed, so nothing of it can be committed")
        self.committing = True
        self.connection.commit()
        self.connection.close()
        self._connected = False

    def roll_back(self, error: Exception) -> None:
        """Give the connection back clean after `error`, or throw it away if that cannot be done in time."""
        if self.is_deadline(error) or not self._connected:
            return
        try:
            self.connection.close()
            self._connected = False
        except BaseException as failure:
            self.throw_away()
            if not (isinstance(failure, LedgerUnavailableError) or self.is_deadline(failure)):
                raise

    def throw_away(self) -> None:
        """Close a connection that is still in use without waiting for the server."""
        if self._connected:
            self._connected = False
            if not self.connection.closed:
                self.connection.invalidate()
                self.connection.close()

    def release(self) -> None:
        """Let the next transaction have the slot."""
        if self._holds_slot:
            self._holds_slot = False
            self._slots.release()

    def is_deadline(self, error: BaseException) -> bool:
        """Whether `error` says that the time is up."""
        return error is self._limit or isinstance(error, DeadlinePassedError)

    def unavailable(self, reason: str) -> LedgerUnavailableError:
        """Return the error for a failure now: what broke inside COMMIT may have happened."""
        return CommitUnknownError(reason) if self.committing else LedgerUnavailableError(reason)


def _build_engine(options: LedgerOptions, application_name: str) -> Engine:
    arguments = connect_arguments(options, application_name)
    engine = create_engine(
        "postgresql+psycopg2://",
        creator=lambda: psycopg2.connect(**arguments),
        poolclass=QueuePool,
        pool_size=options.pool_size,
        max_overflow=0,
        pool_timeout=options.timeout_seconds,
        pool_use_lifo=True,
        hide_parameters=True,
    )
    event.listen(engine, "handle_error", translate_error, retval=True)
    event.listen(engine, "checkin", _mark_idle)
    event.listen(engine, "checkout", _refuse_cut)
    return engine


def connect_arguments(options: LedgerOptions, application_name: str) -> dict[str, Any]:
    """Return libpq's parameters for `options`: any URL or DSN that libpq takes, Unix sockets too.

    Raises SettingsError if libpq cannot read it; the URL, which holds a password, is not repeated.
    """
    _, separator, rest = options.database_url.partition("://")
    dsn = f"postgresql://{rest}" if separator else options.database_url
    try:
        given = extensions.parse_dsn(dsn)
    except psycopg2.ProgrammingError:
        raise SettingsError("DATABASE_URL is no address that PostgreSQL's client library can read") from None
    session = {
        "statement_timeout": _milliseconds(options.timeout_seconds),
        "lock_timeout": _milliseconds(options.timeout_seconds * LOCK_SHARE),
        "idle_in_transaction_session_timeout": _milliseconds(IDLE_IN_TRANSACTION_SECONDS),
        "timezone": "UTC",
    }
    own = " ".join(f"-c {name}={value}" for name, value in session.items())
    return {
        **KEEPALIVES,
        "connect_timeout": str(max(2, round(options.timeout_seconds))),
        **given,
        "application_name": application_name,
        "client_encoding": "utf8",
        "options": f"{given.get('options', '')} {own}".strip(),
    }


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _mark_idle(_connection: object, record: Any) -> None:
    record.info["idle"] = True


def _refuse_cut(connection: Any, record: Any, _proxy: object) -> None:
    """Refuse a pooled connection that has something to read: the server closed it, or says that it will."""
    if not record.info.pop("idle", False):
        return
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    if poller.poll(0):
        raise DisconnectionError("PostgreSQL closed this connection")
