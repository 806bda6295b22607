from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from orchestrator.errors import LedgerConflictError, SchemaMismatchError
from orchestrator.ledger import migrate as migrations
from orchestrator.ledger.engine import Ledger
from orchestrator.ledger.migrate import expected_revision, migrate, require_schema, schema_revision
from orchestrator.ledger.schema import metadata

if TYPE_CHECKING:
    from orchestrator.ledger.options import LedgerOptions
    from tests.support.postgres import PostgresServer


def test_the_tables_of_the_program_are_the_tables_of_the_migrations(ledger: Ledger) -> None:
    def ours(_object: object, name: str | None, kind: str, _reflected: bool, _compare_to: object) -> bool:
        return kind != "index" and not (kind == "table" and name is not None and name not in metadata.tables)

    with ledger.transaction() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": ours, "compare_type": False, "compare_nullable": True}
        )
        assert compare_metadata(context, metadata) == []


def test_the_columns_come_in_the_order_of_the_tables(ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        for table in metadata.tables.values():
            query = text(
                "SELECT attname FROM pg_attribute WHERE attrelid = CAST(:table AS regclass)"
                " AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
            )
            names = list(connection.execute(query, {"table": table.name}).scalars())
            assert names == [column.name for column in table.columns]


def test_migrating_twice_changes_nothing(ledger: Ledger, ledger_options: LedgerOptions) -> None:
    assert migrate(ledger_options) == expected_revision()

    with ledger.transaction() as connection:
        assert schema_revision(connection) == expected_revision()
    require_schema(ledger)


def test_an_empty_database_is_refused_with_what_to_do(postgres_server: PostgresServer) -> None:
    name = postgres_server.create_database()
    ledger = Ledger(postgres_server.options(name), application_name="test")
    try:
        with pytest.raises(SchemaMismatchError, match="orchestrator migrate"):
            require_schema(ledger)
        with (
            pytest.raises(SchemaMismatchError, match="orchestrator migrate"),
            ledger.transaction() as connection,
        ):
            connection.execute(text("SELECT id FROM tasks"))
    finally:
        ledger.close()
        postgres_server.drop_database(name)


def test_two_migrations_do_not_meet(
    ledger: Ledger, ledger_options: LedgerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 0.05)
    with ledger.transaction() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('orchestrator migrate'))"))
        with pytest.raises(LedgerConflictError):
            migrate(ledger_options)


def test_a_schema_can_be_taken_back_and_made_again(ledger: Ledger, ledger_options: LedgerOptions) -> None:
    with ledger.transaction(60) as connection:
        command.downgrade(migrations._config(connection), "base")
        names = inspect(connection).get_table_names()
    assert names == ["alembic_version"]

    assert migrate(ledger_options) == expected_revision()
    require_schema(ledger)
