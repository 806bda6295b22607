"""Partitions by week, made before they are needed; what has none yet lands in the DEFAULT partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from orchestrator.ledger.schema import PARTITIONED
from orchestrator.tasks.partitions import weeks_from

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from orchestrator.tasks.partitions import Week

WEEKS_AHEAD = 4
_LOCK = "orchestrator partitions"


def make_ahead(connection: Connection, now: datetime, weeks: int = WEEKS_AHEAD) -> list[str]:
    """Make what is missing of this week's partitions and those of `weeks` weeks ahead; return the new names.

    Reading and writing go on meanwhile, but for the moment in which a partition is attached. Rows that
    already lie in the DEFAULT partition move to their own.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:lock))"), {"lock": _LOCK})
    present = _present(connection)
    return [
        _make(connection, table, column, week)
        for week in weeks_from(now, weeks)
        for table, column in PARTITIONED.items()
        if _name(table, week) not in present
    ]


def default_rows(connection: Connection, limit: int = 1000) -> dict[str, int]:
    """Count, up to `limit` each, the rows in the DEFAULT partitions: any at all means a wrong clock."""
    return {
        table: int(
            connection.execute(
                text(f"SELECT count(*) FROM (SELECT 1 FROM {table}_default LIMIT :limit) AS sample"),  # noqa: S608
                {"limit": limit},
            ).scalar_one()
        )
        for table in PARTITIONED
    }


def _present(connection: Connection) -> set[str]:
    query = text("""
        SELECT child.relname FROM pg_inherits
        JOIN pg_class AS child ON child.oid = inhrelid
        WHERE inhparent = ANY(CAST(:tables AS regclass[]))
    """)
    return set(connection.execute(query, {"tables": list(PARTITIONED)}).scalars())


def _make(connection: Connection, table: str, column: str, week: Week) -> str:
    """Make a table beside the partitioned one and attach it: that locks less than creating it in place."""
    name, low, high = _name(table, week), week.first_id, week.end_id
    range_sql = f"{column} >= '{low}' AND {column} < '{high}'"
    move = f"""
        WITH moved AS (DELETE FROM {table}_default WHERE {range_sql} RETURNING *)
        INSERT INTO {name} SELECT * FROM moved
    """  # noqa: S608 - names of ours
    for statement in (
        f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)",
        f"LOCK TABLE ONLY {table} IN SHARE UPDATE EXCLUSIVE MODE",
        f"LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE",
        move,
        f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO ('{high}')",
    ):
        connection.execute(text(statement))
    return name


def _name(table: str, week: Week) -> str:
    return f"{table}_{week.name}"
