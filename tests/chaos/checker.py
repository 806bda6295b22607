"""Judges a case: what must never happen is counted with its cases, what may happen is reported. Pure."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

from tests.chaos.book import TERMINAL
from tests.chaos.journal import overlap_seconds
from tests.chaos.orders import EXPECTED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.chaos.evidence import Evidence
    from tests.chaos.journal import Run

OVERLAP_SECONDS = 0.5
"""Two runs of one task that share less are a handover."""
OBEY_SECONDS = 20.0
"""A wish to cancel is obeyed so soon after it was answered, whatever is broken at the time."""
GIVEN_UP = frozenset({"poison"})
MAX_CASES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the verdict; `limit` is None for what is only reported."""

    what: str
    count: int
    limit: int | None
    cases: tuple[str, ...] = ()

    @property
    def violated(self) -> bool:
        return self.limit is not None and self.count > self.limit


@dataclass(frozen=True, slots=True)
class Recovery:
    """How one kind of fault went, and how long until all that it had in hand ran again or had ended.

    `longest_seconds` is None where no victim had a task in hand, infinite where one never went on. A run of a
    task that had ended before is nothing in hand: it is about to be stopped.
    """

    fault: str
    struck: int
    while_holding: int
    longest_seconds: float | None
    longest_fault_seconds: float


@dataclass(frozen=True)
class Verdict:
    """What the checker found."""

    findings: list[Finding]
    recoveries: list[Recovery] = field(default_factory=list)

    @property
    def violations(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.violated]

    def finding(self, what: str) -> Finding:
        """Return one line by its name."""
        return next(finding for finding in self.findings if finding.what == what)


def check(case: Evidence) -> Verdict:
    """Return the verdict on a case whose system was given time to finish."""
    by_task = _runs_by_task(case.runs)
    exclusive, others = _overlaps(by_task)
    submitted = set(case.accepted) | set(case.rows)
    ended = [row.task_id for row in case.rows.values() if row.status in TERMINAL]
    findings = [
        Finding("accepted", len(case.accepted), None),
        Finding("in the ledger though no 201 arrived", len(submitted - set(case.accepted)), None),
        Finding("ended", len(ended), None),
        _must_not("lost", _lost(case)),
        _must_not("ended twice", _ended_twice(case)),
        _must_not("told one caller one thing and another caller another", _contradictions(case)),
        _must_not("exclusive, on two agents at once", exclusive),
        _may("others, on two agents at once", others),
        _must_not("ran on after a cancellation", _disobeyed(case, by_task)),
        _must_not("completed with a result of no finished run", _invented(case)),
        _must_not("ended as its kind cannot", _strange_ends(case)),
        _must_not("answered 500", _faulty_answers(case)),
        _may("ran more than once without asking for it", _ran_again(case, by_task)),
        _may("given up as poison", [row.task_id for row in case.rows.values() if row.error_code in GIVEN_UP]),
    ]
    return Verdict(findings, _recoveries(case))


def _must_not(what: str, cases: list[str]) -> Finding:
    return Finding(what, len(cases), 0, tuple(cases[:MAX_CASES]))


def _may(what: str, cases: list[str]) -> Finding:
    return Finding(what, len(cases), None, tuple(cases[:MAX_CASES]))


def _runs_by_task(runs: Iterable[Run]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.began):
        found[run.task_id].append(run)
    return found


def _lost(case: Evidence) -> list[str]:
    missing = [f"{task_id}: not in the ledger" for task_id in case.accepted if task_id not in case.rows]
    stuck = [f"{row.task_id}: {row.status}" for row in case.rows.values() if row.status not in TERMINAL]
    return missing + stuck


def _ended_twice(case: Evidence) -> list[str]:
    ends: dict[str, list[str]] = defaultdict(list)
    for end in case.ends:
        ends[end.task_id].append(end.status)
    return [f"{task_id}: {' then '.join(how)}" for task_id, how in ends.items() if len(how) > 1]


def _contradictions(case: Evidence) -> list[str]:
    """Every answer about an end must be the ledger's last word: status, and result where one was given."""
    found: dict[str, str] = {}
    for told in case.told:
        row = case.rows.get(told.task_id)
        status, result = (row.status, row.result) if row else ("not in the ledger", None)
        if told.status != status or told.result not in (None, result):
            said, is_so = f"{told.status} {told.result or ''}", f"{status} {result or ''}"
            found.setdefault(told.task_id, f"{told.task_id}: {told.caller} was told {said}, it is {is_so}")
    return list(found.values())


def _overlaps(by_task: dict[str, list[Run]]) -> tuple[list[str], list[str]]:
    exclusive: list[str] = []
    others: list[str] = []
    for task_id, runs in by_task.items():
        longest = max((overlap_seconds(*pair) for pair in combinations(runs, 2)), default=0.0)
        if longest > OVERLAP_SECONDS:
            (exclusive if runs[0].kind == "exclusive" else others).append(f"{task_id}: {longest:.2f} s")
    return exclusive, others


def _disobeyed(case: Evidence, by_task: dict[str, list[Run]]) -> list[str]:
    found = []
    for cancellation in case.cancellations:
        runs = by_task.get(cancellation.task_id, [])
        late = max((run.last_sign - cancellation.at for run in runs), default=0.0)
        if cancellation.status_code in (200, 202) and late > OBEY_SECONDS:
            found.append(f"{cancellation.task_id}: {late:.1f} s")
    return found


def _invented(case: Evidence) -> list[str]:
    returned = {run.run for run in case.runs if run.how == "returned"}
    return [
        row.task_id
        for row in case.rows.values()
        if row.status == "completed" and json.loads(row.result or "null").get("run") not in returned
    ]


def _strange_ends(case: Evidence) -> list[str]:
    found = []
    for task_id, accepted in case.accepted.items():
        row = case.rows.get(task_id)
        if row is None or row.status not in TERMINAL or row.error_code in GIVEN_UP:
            continue
        if row.status not in EXPECTED[accepted.kind]:
            found.append(f"{task_id}: {accepted.kind} ended {row.status} ({row.error_code})")
    return found


def _faulty_answers(case: Evidence) -> list[str]:
    return [name for name, count in case.answers.items() if name.endswith(" 500") for _ in range(count)]


def _ran_again(case: Evidence, by_task: dict[str, list[Run]]) -> list[str]:
    once = frozenset(
        {"quick", "slow", "exclusive", "long exclusive", "hanging", "cancelled", "raced", "delayed"}
    )
    kinds = {task_id: accepted.kind for task_id, accepted in case.accepted.items()}
    return [
        f"{task_id}: {len(runs)} runs"
        for task_id, runs in by_task.items()
        if len(runs) > 1 and kinds.get(task_id) in once
    ]


def _recoveries(case: Evidence) -> list[Recovery]:
    moments: dict[str, list[float]] = defaultdict(list)
    for run in case.runs:
        moments[run.task_id].append(run.began)
    for end in case.ends:
        moments[end.task_id].append(end.at)
    first_ends: dict[str, float] = {}
    for end in case.ends:
        first_ends.setdefault(end.task_id, end.at)
    by_fault: dict[str, list[tuple[int, float | None, float]]] = defaultdict(list)
    for strike in case.strikes:
        waits = [
            min((at - strike.began for at in moments[task_id] if at > strike.began), default=math.inf)
            for task_id in strike.held
            if first_ends.get(task_id, math.inf) > strike.began
        ]
        by_fault[strike.fault].append((len(waits), max(waits, default=None), strike.ended - strike.began))
    return [
        Recovery(
            fault,
            len(all_strikes),
            sum(held > 0 for held, _, _ in all_strikes),
            max((wait for _, wait, _ in all_strikes if wait is not None), default=None),
            max(seconds for _, _, seconds in all_strikes),
        )
        for fault, all_strikes in sorted(by_fault.items())
    ]
