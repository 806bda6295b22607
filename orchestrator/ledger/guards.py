"""The transition table as SQL: every guard of an UPDATE is made here, from orchestrator.tasks.status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.tasks.status import TERMINAL, TRANSITIONS, UNFINISHED, Status, repairable_from, sources_of

if TYPE_CHECKING:
    from collections.abc import Iterable


def sql_list(statuses: Iterable[Status]) -> str:
    """Return statuses as the inside of an SQL list, in a fixed order."""
    return ", ".join(f"'{status.value}'" for status in sorted(statuses))


UNFINISHED_SQL = sql_list(UNFINISHED)
TERMINAL_SQL = sql_list(TERMINAL)
WAITING = (Status.PENDING, Status.RETRYING)
"""In the ledger only: what the controller publishes when it is due."""
WAITING_SQL = sql_list(WAITING)
IN_FLIGHT = (Status.QUEUED, Status.SENT, Status.RUNNING)
"""In the broker's hands, or an agent's."""
REPAIRABLE_SQL = sql_list(repairable_from() | {Status.PENDING})
"""What a repair may deliver again: a row that is still pending stays so and only takes the new number."""


def endable_sql(target: Status) -> str:
    """Return the unfinished statuses from which a task may end as `target`."""
    return sql_list(sources_of(target) & UNFINISHED)


def move_pairs_sql() -> str:
    """Return every (from, to) that events may make: the table's moves, and staying, while unfinished."""
    pairs = {(source, target) for source in UNFINISHED for target in TRANSITIONS[source] | {source}}
    return ", ".join(f"('{source.value}', '{target.value}')" for source, target in sorted(pairs))
