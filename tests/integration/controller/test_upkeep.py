"""The leader's care for partitions, on a real ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from orchestrator.controller.upkeep import keep_partitions
from orchestrator.errors import LostLeadershipError
from orchestrator.ledger import leadership

if TYPE_CHECKING:
    from orchestrator.ledger.engine import Ledger

NEWEST = """
    SELECT max(inhrelid::regclass::text) FROM pg_inherits
    WHERE inhparent = 'task_logs'::regclass AND inhrelid::regclass::text NOT LIKE '%default'
"""


def test_a_missing_week_is_made_and_told(ledger: Ledger) -> None:
    with ledger.transaction() as conn:
        term = leadership.acquire(conn, "test", 60.0) or 0
        lost = conn.execute(text(NEWEST)).scalar_one()
        conn.execute(text(f"DROP TABLE {lost}"))

    report = keep_partitions(ledger, term=term)

    assert report.made == [lost]
    assert set(report.in_default.values()) == {0}
    assert report.notable
    assert not keep_partitions(ledger, term=term).notable


def test_another_leaders_term_makes_nothing(ledger: Ledger) -> None:
    with ledger.transaction() as conn:
        term = leadership.acquire(conn, "test", 60.0) or 0

    with pytest.raises(LostLeadershipError):
        keep_partitions(ledger, term=term + 1)
