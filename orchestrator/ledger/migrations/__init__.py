"""Alembic's folder; `orchestrator.ledger.migrate` runs what is in it."""
