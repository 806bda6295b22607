"""One run: start the system, drive it, break it, let it finish, gather the evidence."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.chaos.book import Book
from tests.chaos.checker import check
from tests.chaos.driver import Caller, Quota
from tests.chaos.evidence import Evidence, count_unfinished, read_ends, read_rows
from tests.chaos.faults import FAULTS
from tests.chaos.injector import Injector, schedule
from tests.chaos.journal import Reader, boottime
from tests.chaos.orders import MIX
from tests.chaos.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tests.chaos.checker import Verdict
    from tests.chaos.faults import Fault
    from tests.chaos.injector import Strike

CALLERS = 4
STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Plan:
    """What is to be done to which system."""

    tasks: int
    faults: int
    seed: int
    kinds: Sequence[Fault] = FAULTS
    mix: Mapping[str, int] = field(default_factory=lambda: MIX)
    broken: str = ""
    """A module of tests.chaos.broken that takes one rule away."""
    drain_seconds: float = 90.0
    """What has not ended so long after the last fault and the last submission counts as lost."""


@dataclass(frozen=True)
class Outcome:
    """The verdict with what it was based on."""

    verdict: Verdict
    evidence: Evidence
    seconds: float


def run(plan: Plan, folder: Path, tell: Callable[[str], None]) -> Outcome:
    """Carry a plan out in an empty folder; everything that was started has ended when this returns."""
    began = time.monotonic()
    stack = Stack(folder, broken=plan.broken)
    try:
        stack.start()
        tell(f"seed {plan.seed}: {plan.tasks} tasks, {plan.faults} faults; everything is up")
        evidence = _drive(plan, stack, tell)
    finally:
        stack.close()
    return Outcome(check(evidence), evidence, time.monotonic() - began)


def _drive(plan: Plan, stack: Stack, tell: Callable[[str], None]) -> Evidence:
    book, quota = Book(), Quota(plan.tasks)
    callers = [
        Caller(
            f"caller-{number}", book, quota, urls=stack.urls, key=stack.key, seed=str(plan.seed),
            journal=str(stack.journal), mix=plan.mix,
        )
        for number in range(CALLERS)
    ]  # fmt: skip
    for caller in callers:
        caller.start()
    try:
        strikes = _strike_all(plan, stack, quota, tell)
        quota.allow(1.0)
        _drain(plan, stack, quota, callers, tell)
    finally:
        for caller in callers:
            caller.stop()
        for caller in callers:
            caller.join(STOP_SECONDS)
    return Evidence(
        accepted=book.accepted,
        told=book.told,
        cancellations=book.cancellations,
        answers=book.answers,
        strikes=strikes,
        runs=list(Reader(stack.journal).read().values()),
        rows=read_rows(stack),
        ends=read_ends(stack, epoch_of_boot=time.time() - boottime()),
    )


def _strike_all(plan: Plan, stack: Stack, quota: Quota, tell: Callable[[str], None]) -> list[Strike]:
    """Strike every planned fault, with a share of the tasks let in before each."""
    rng = random.Random(plan.seed)
    injector = Injector(stack, rng, tell, quota.allow_another)
    planned = schedule(plan.faults, rng, plan.kinds)
    strikes = []
    for number, fault in enumerate(planned, 1):
        quota.allow(number / (len(planned) + 1))
        strikes.append(injector.strike(fault))
    return strikes


def _drain(
    plan: Plan, stack: Stack, quota: Quota, callers: Sequence[Caller], tell: Callable[[str], None]
) -> None:
    """Wait until all are submitted and have ended; give up when nothing has moved for `drain_seconds`."""
    pause, last, moved_at = threading.Event(), (-1, -1), time.monotonic()
    while True:
        unfinished = count_unfinished(stack)
        state = (quota.taken, unfinished)
        if quota.taken >= quota.total and unfinished == 0 and not any(caller.waits for caller in callers):
            return
        if state != last:
            last, moved_at = state, time.monotonic()
        elif time.monotonic() - moved_at > plan.drain_seconds:
            tell(f"{unfinished} tasks do not end")
            return
        pause.wait(0.25)
