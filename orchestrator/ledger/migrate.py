"""Migrations: run by a command of their own, checked by everything else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from orchestrator.errors import SchemaMismatchError
from orchestrator.ledger.engine import Ledger
from orchestrator.ledger.partitions import make_ahead

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from orchestrator.ledger.options import LedgerOptions

MIGRATE_SECONDS = 600.0
LOCK_SECONDS = 10.0
"""How long a migration waits for a lock, of another `migrate` or of the traffic, before it gives up."""
_LOCK = "orchestrator migrate"


def migrate(options: LedgerOptions) -> str:
    """Bring the schema to this program's revision, in one transaction, and return that revision.

    Also makes the partitions of the weeks to come. Raises LedgerConflictError when another migration runs,
    and LedgerUnavailableError; either way nothing was changed.
    """
    ledger = Ledger(options, application_name="orchestrator-migrate")
    try:
        with ledger.transaction(MIGRATE_SECONDS) as connection:
            connection.execute(
                text("SELECT set_config('lock_timeout', :limit, true)"), {"limit": f"{LOCK_SECONDS:g}s"}
            )
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:lock))"), {"lock": _LOCK})
            command.upgrade(_config(connection), "head")
            make_ahead(connection, datetime.now(UTC))
    finally:
        ledger.close()
    return expected_revision()


def expected_revision() -> str:
    """Return the revision that this program needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise SchemaMismatchError("this installation has no migrations")
    return head


def schema_revision(connection: Connection) -> str | None:
    """Return the revision of the ledger; None before the first migration."""
    return MigrationContext.configure(connection).get_current_revision()


def require_schema(ledger: Ledger) -> None:
    """Raise SchemaMismatchError unless the ledger has exactly this program's schema."""
    expected = expected_revision()
    with ledger.transaction() as connection:
        present = schema_revision(connection)
    if present != expected:
        raise SchemaMismatchError(
            f"the ledger's schema is {present or 'empty'} and not {expected}: run `orchestrator migrate`"
        )


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
