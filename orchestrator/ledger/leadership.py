"""Who leads: a term that only grows, and a lease that runs out. All times are the ledger's clock.

The term is read FOR SHARE by every transaction of the leader (`assert_term`), and raised by whoever takes
over: so a takeover waits for what the old leader has under way, and what it begins later fails. The lease
lies in a row of its own, so that renewing it never waits for a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, text

from orchestrator.errors import LostLeadershipError
from orchestrator.ledger import schema

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

CONTROLLER = "controller"


@dataclass(frozen=True, slots=True)
class Leader:
    """Who led last; `age_seconds` since the last renewal, `until` when it may be taken over."""

    holder: str
    term: int
    until: datetime
    age_seconds: float


_CREATE = (
    text("INSERT INTO leadership (name, holder, term) VALUES (:name, '', 0) ON CONFLICT DO NOTHING"),
    text("""
        INSERT INTO leadership_lease (name, term, renewed_at, until)
        VALUES (:name, 0, '-infinity', '-infinity') ON CONFLICT DO NOTHING
    """),
)
_EXPIRED = text("""
    SELECT until < clock_timestamp() FROM leadership_lease WHERE name = :name FOR UPDATE
""")
_TAKE = text("""
    UPDATE leadership SET holder = :holder, term = term + 1 WHERE name = :name RETURNING term
""")
_LEASE = text("""
    UPDATE leadership_lease SET term = :term, renewed_at = clock_timestamp(),
        until = clock_timestamp() + :seconds * interval '1 second'
    WHERE name = :name
""")
_RENEW = text("""
    UPDATE leadership_lease SET renewed_at = clock_timestamp(),
        until = clock_timestamp() + :seconds * interval '1 second'
    WHERE name = :name AND term = :term
""")
_RELEASE = text("""
    UPDATE leadership_lease SET until = '-infinity' WHERE name = :name AND term = :term
""")
_CURRENT = text("""
    SELECT holder, lease.term, until, CAST(extract(epoch FROM clock_timestamp() - renewed_at) AS float8)
    FROM leadership JOIN leadership_lease AS lease USING (name)
    WHERE name = :name AND lease.term > 0 AND until > '-infinity'
""")


def acquire(
    connection: Connection, holder: str, lease_seconds: float, *, name: str = CONTROLLER
) -> int | None:
    """Take over if the lease has run out and return the new term, else None.

    Raises LedgerConflictError while the last leader still has a transaction under way.
    """
    expired = connection.execute(_EXPIRED, {"name": name}).scalar_one_or_none()
    if expired is None:
        for statement in _CREATE:
            connection.execute(statement, {"name": name})
        expired = connection.execute(_EXPIRED, {"name": name}).scalar_one()
    if not expired:
        return None
    term = int(connection.execute(_TAKE, {"name": name, "holder": holder}).scalar_one())
    connection.execute(_LEASE, {"name": name, "term": term, "seconds": lease_seconds})
    return term


def renew(
    connection: Connection, holder: str, term: int, lease_seconds: float, *, name: str = CONTROLLER
) -> bool:
    """Prolong the lease to `lease_seconds` from now; False if `holder` has been succeeded."""
    del holder  # a term has one holder
    given = {"name": name, "term": term, "seconds": lease_seconds}
    return connection.execute(_RENEW, given).rowcount == 1


def release(connection: Connection, holder: str, term: int, *, name: str = CONTROLLER) -> None:
    """Let a standby take over at once; nothing if `holder` has been succeeded."""
    del holder
    connection.execute(_RELEASE, {"name": name, "term": term})


def assert_term(connection: Connection, term: int, *, name: str = CONTROLLER) -> None:
    """Keep the term for the length of this transaction. Raises LostLeadershipError if it is over."""
    table = schema.leadership
    query = select(table.c.term).where(table.c.name == name).with_for_update(read=True)
    present = connection.execute(query).scalar_one_or_none()
    if present != term:
        raise LostLeadershipError(f"term {term} is over, the ledger is in term {present}")


def current(connection: Connection, *, name: str = CONTROLLER) -> Leader | None:
    """Return who leads, or led last; None if nobody ever did or the last one let go."""
    row = connection.execute(_CURRENT, {"name": name}).one_or_none()
    return None if row is None else Leader(*row)
