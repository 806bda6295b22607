"""The checker on cases made by hand: a clean one is acquitted, each violation is found and nothing else."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.book import Accepted, Cancellation, Told
from tests.chaos.checker import check
from tests.chaos.evidence import End, Evidence, Row
from tests.chaos.injector import Strike
from tests.chaos.journal import Run

if TYPE_CHECKING:
    from tests.chaos.checker import Verdict

CONTRADICTED = "told one caller one thing and another caller another"


def signs(start: float, end: float) -> list[float]:
    """Signs of life every 0.1 s."""
    return [start + number / 10 for number in range(round((end - start) * 10) + 1)]


def run(name: str, *, task: str = "a", kind: str = "slow", main: int = 1, start: float = 1.0,
        end: float = 2.0, how: str | None = "returned") -> Run:  # fmt: skip
    return Run(name, task, kind, pid=100 + main, main=main, signs=signs(start, end), how=how)


def row(task: str = "a", status: str = "completed", *, of_run: str = "r1", code: str | None = None) -> Row:
    result = f'{{"run": "{of_run}"}}' if status == "completed" else "null"
    return Row(task, status, code, result, attempt=1)


def case(**changes: Any) -> Evidence:
    """One slow task, accepted, run once, completed, and seen so by two callers."""
    told = [Told("a", caller, "GET", "completed", '{"run": "r1"}', 2.2) for caller in ("one", "two")]
    base = Evidence(
        accepted={"a": Accepted("a", "slow", "one", 0.5)},
        told=told,
        cancellations=[],
        answers=Counter({"POST 201": 1}),
        strikes=[],
        runs=[run("r1")],
        rows={"a": row()},
        ends=[End("a", "completed", 2.1)],
    )
    return replace(base, **changes)


def violations(verdict: Verdict) -> dict[str, int]:
    return {finding.what: finding.count for finding in verdict.violations}


def test_a_clean_case_is_acquitted() -> None:
    verdict = check(case())

    assert verdict.violations == []
    assert [verdict.finding(what).count for what in ("accepted", "ended", "lost")] == [1, 1, 0]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"rows": {}, "told": []}, "lost"),
        ({"rows": {"a": row(status="running")}, "told": [], "ends": []}, "lost"),
        ({"ends": [End("a", "failed", 2.0), End("a", "completed", 2.1)]}, "ended twice"),
        ({"told": [Told("a", "one", "GET", "failed", None, 2.2)]}, CONTRADICTED),
        ({"told": [Told("a", "one", "DELETE", "cancelled", None, 2.2)]}, CONTRADICTED),
        ({"told": [Told("a", "one", "GET", "completed", '{"run": "r0"}', 2.2)]}, CONTRADICTED),
        ({"told": [Told("a", "one", "GET", "not found", None, 2.2)]}, CONTRADICTED),
        ({"runs": [run("r1", how=None)]}, "completed with a result of no finished run"),
        ({"runs": []}, "completed with a result of no finished run"),
        ({"rows": {"a": row(status="timeout")}, "told": []}, "ended as its kind cannot"),
        ({"answers": Counter({"GET task 500": 1})}, "answered 500"),
        ({"cancellations": [Cancellation("a", 202, 1.0)], "runs": [run("r1", end=30.0)]},
         "ran on after a cancellation"),
    ],
)  # fmt: skip
def test_each_violation_is_found_and_no_other(changes: dict[str, Any], what: str) -> None:
    assert violations(check(case(**changes))) == {what: 1}


@pytest.mark.parametrize(("second_start", "found"), [(1.4, 1), (1.6, 0), (3.0, 0)])
def test_two_runs_of_an_exclusive_task_may_share_half_a_second(second_start: float, found: int) -> None:
    runs = [run("r1", kind="exclusive"), run("r2", kind="exclusive", main=2, start=second_start, end=4.0)]

    verdict = check(case(runs=runs, accepted={"a": Accepted("a", "exclusive", "one", 0.5)}))

    assert verdict.finding("exclusive, on two agents at once").count == found
    assert bool(verdict.violations) == bool(found)
    assert verdict.finding("ran more than once without asking for it").count == 1


def test_two_runs_of_another_task_at_once_are_reported_only() -> None:
    verdict = check(case(runs=[run("r1"), run("r2", main=2)]))

    assert verdict.violations == []
    assert verdict.finding("others, on two agents at once").count == 1


def test_a_frozen_run_does_not_run() -> None:
    """It gave a sign before it was frozen and one after; in between another ran and finished."""
    frozen = run("r0", kind="exclusive", end=1.2, how=None)
    frozen.signs.append(9.0)
    other = run("r1", kind="exclusive", main=2, start=4.0, end=6.0)

    assert check(case(runs=[frozen, other])).finding("exclusive, on two agents at once").count == 0


def test_a_task_that_is_in_the_ledger_though_its_caller_got_no_answer_must_end_too() -> None:
    verdict = check(case(accepted={}, rows={"a": row(), "b": row("b", "queued")}))

    assert violations(verdict) == {"lost": 1}
    assert verdict.finding("in the ledger though no 201 arrived").count == 2


def test_poison_is_an_end_that_every_kind_may_come_to() -> None:
    verdict = check(case(rows={"a": row(status="failed", code="poison")}, told=[], runs=[]))

    assert verdict.violations == []
    assert verdict.finding("given up as poison").count == 1


def test_recovery_is_the_time_until_all_that_was_in_hand_runs_again_or_has_ended() -> None:
    strikes = [
        Strike("worker killed", "worker-1", frozenset({"a", "b"}), 10.0, 11.0),
        Strike("worker killed", "worker-2", frozenset(), 20.0, 24.0),
    ]
    runs = [run("r1"), run("r2", main=2, start=13.5, end=14.0), run("r3", task="b", start=9.0, end=9.9)]

    (recovery,) = check(case(strikes=strikes, runs=runs, ends=[End("b", "failed", 12.0)])).recoveries

    assert (recovery.struck, recovery.while_holding) == (2, 1)
    assert (recovery.longest_seconds, recovery.longest_fault_seconds) == (3.5, 4.0)


@pytest.mark.parametrize(("ends", "longest"), [([], math.inf), ([End("a", "completed", 9.0)], None)])
def test_what_never_went_on_has_no_recovery_unless_it_had_ended_before(
    ends: list[End], longest: float | None
) -> None:
    strikes = [Strike("leader killed", "controller-1", frozenset({"a"}), 10.0, 11.0)]

    (recovery,) = check(case(strikes=strikes, ends=ends)).recoveries

    assert recovery.longest_seconds == longest
