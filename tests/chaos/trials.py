"""The broken builds with the faults that bring each one's lack to light, and what it must be convicted of."""

from __future__ import annotations

from dataclasses import dataclass

from tests.chaos.faults import BY_NAME
from tests.chaos.runner import Plan

LOST = "lost"
TWICE = "ended twice"
CONTRADICTED = "told one caller one thing and another caller another"
OVERLAPPED = "exclusive, on two agents at once"
DISOBEYED = "ran on after a cancellation"


@dataclass(frozen=True)
class Trial:
    """One broken build: any violation of `convicted_of` convicts it."""

    without: str
    kinds: tuple[str, ...]
    mix: dict[str, int]
    convicted_of: tuple[str, ...]
    tasks: int = 60
    faults: int = 4
    drain_seconds: float = 20.0

    def plan(self, name: str, seed: int) -> Plan:
        """Return a short run of this build."""
        kinds = [BY_NAME[kind] for kind in self.kinds]
        return Plan(
            self.tasks,
            self.faults,
            seed,
            kinds=kinds,
            mix=self.mix,
            broken=name,
            drain_seconds=self.drain_seconds,
        )


TRIALS = {
    "reconciler_off": Trial(
        "nobody repairs what an agent lost", ("worker killed",), {"slow": 1}, (LOST,), faults=2
    ),
    "fence_off": Trial(
        "a late outcome counts",
        ("worker frozen past its timeout",),
        {"slow": 1},
        (TWICE, CONTRADICTED),
    ),
    "take_back_skipped": Trial(
        "the reconciler does not ask Redis before it gives a task away",
        ("worker killed",),
        {"slow": 1},
        (LOST,),
        faults=2,
    ),
    "cancel_mark_off": Trial(
        "a running task's holder never hears that it is cancelled",
        ("standby killed",),
        {"cancelled": 1},
        (DISOBEYED,),
        tasks=12,
        faults=1,
        drain_seconds=45.0,
    ),
    "watchdog_off": Trial(
        "an exclusive run goes on without its agent",
        ("worker's main frozen past its timeout",),
        {"long exclusive": 1, "quick": 3},
        (OVERLAPPED,),
        tasks=40,
    ),
    "trims_before_commit": Trial(
        "events are trimmed before they are committed",
        ("PostgreSQL stopped",),
        {"slow": 1, "quick": 1},
        (LOST,),
        faults=2,
    ),
}
