"""The short form of the chaos suite: a few kinds of faults while two hundred tasks go through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.faults import BY_NAME
from tests.chaos.runner import Plan, run

if TYPE_CHECKING:
    from pathlib import Path

SEED = 2606
KINDS = (
    "worker killed",
    "worker's main frozen",
    "pool child killed",
    "leader killed",
    "API killed",
    "Redis emptied",
    "Redis set back",
    "PostgreSQL restarted",
    "connection half-open",
)


def test_nothing_is_lost_doubled_or_contradicted(tmp_path: Path) -> None:
    plan = Plan(200, len(KINDS), SEED, kinds=[BY_NAME[name] for name in KINDS])

    outcome = run(plan, tmp_path, print)

    assert [(finding.what, finding.cases) for finding in outcome.verdict.violations] == []
    assert outcome.verdict.finding("accepted").count == plan.tasks
    assert {strike.fault for strike in outcome.evidence.strikes} == set(KINDS)
