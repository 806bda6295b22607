"""The ledger as group commit sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.ledger.tasks import find_created, insert_tasks

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from datetime import datetime

    from orchestrator.ledger.engine import Ledger
    from orchestrator.tasks.submission import NewTask


class LedgerStore:
    """Inserts and finds in transactions of their own."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def insert(self, tasks: Sequence[NewTask], timeout_seconds: float) -> list[datetime]:
        """Insert all in one transaction; return created_at in order."""
        with self._ledger.transaction(timeout_seconds) as connection:
            return insert_tasks(connection, tasks)

    def find_created(self, ids: Sequence[uuid.UUID], timeout_seconds: float) -> dict[uuid.UUID, datetime]:
        """Return created_at of those that are there."""
        with self._ledger.transaction(timeout_seconds) as connection:
            return find_created(connection, ids)
