"""Runs migrations on the connection and in the transaction that `orchestrator.ledger.migrate` hands over."""

from alembic import context

from orchestrator.ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
