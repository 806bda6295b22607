"""Pages of tasks, bounded in rows and in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.ledger.tasks import list_tasks
from orchestrator.tasks.status import Status

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from orchestrator.intake.budget import Budget
    from orchestrator.ledger.engine import Ledger
    from orchestrator.ledger.tasks import TaskRow

ROWS_PER_READ = 50
PAGE_BYTES = 8 * 1024 * 1024
"""A page ends early when its parameters and results together are larger."""


@dataclass(frozen=True, slots=True)
class Page:
    """Tasks, newest first; `more` when older ones follow."""

    rows: list[TaskRow]
    more: bool


def list_page(
    ledger: Ledger,
    tenant: str,
    budget: Budget,
    *,
    statuses: Sequence[str],
    agent_type: str | None,
    task_type: str | None,
    limit: int,
    before_id: uuid.UUID | None,
) -> Page:
    """Return the page after `before_id`. Raises LedgerUnavailableError."""
    rows: list[TaskRow] = []
    size = 0
    while len(rows) < limit:
        wanted = min(ROWS_PER_READ, limit - len(rows))
        with ledger.transaction(budget.require()) as connection:
            found = list_tasks(
                connection,
                tenant,
                statuses=[Status(status) for status in statuses],
                agent_type=agent_type,
                task_type=task_type,
                limit=wanted + 1,
                before_id=rows[-1].id if rows else before_id,
            )
        for row in found[:wanted]:
            size += len(row.parameters_json) + len(row.result_json or "")
            if rows and size > PAGE_BYTES:
                return Page(rows, more=True)
            rows.append(row)
        if len(found) <= wanted:
            return Page(rows, more=False)
    return Page(rows, more=True)
