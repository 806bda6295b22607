"""Search of every state that the model can reach, with the shortest way to anything that must not be."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.model.actions import transitions
from tests.model.world import Doing, Plan, Step, World

if TYPE_CHECKING:
    from tests.model.world import Faults, Rules

MAX_DELIVERY = 3
"""Deliveries beyond this are not followed: a task that is repaired twice has shown what there is to see."""
MAX_STARTS = 4


@dataclass
class Finding:
    """What a search found: the states it saw, whether it saw all, and each violation with the way to it."""

    states: int
    complete: bool
    violations: dict[str, list[str]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        return self.complete and not self.violations


def search(rules: Rules, faults: Faults, *, reconcilers: int = 1, limit: int = 3_000_000) -> Finding:
    """Look at every state within the bounds.

    Violations: `two at once` (two agents run the task at the same time), `rerun` (it started twice
    without any fault), `stuck` (from some state no way without a further fault leads to an end).
    """
    start = World(faults=faults, plans=tuple(Plan() for _ in range(reconcilers)))
    came_from: dict[World, tuple[World, str] | None] = {start: None}
    backward: dict[World, list[World]] = {}
    ends: list[World] = []
    bad: dict[str, World] = {}
    todo = deque([start])
    while todo:
        world = todo.popleft()
        for name in _violations(world, faults):
            bad.setdefault(name, world)
        if _is_end(world):
            ends.append(world)
            continue
        for label, following, is_fault in transitions(world, rules):
            if not is_fault:
                backward.setdefault(following, []).append(world)
            if following not in came_from:
                came_from[following] = (world, label)
                todo.append(following)
        if len(came_from) > limit:
            return Finding(len(came_from), complete=False, violations=_traces(bad, came_from))
    stuck = came_from.keys() - _can_reach(ends, backward)
    if stuck:
        bad["stuck"] = next(world for world in came_from if world in stuck)
    return Finding(len(came_from), complete=True, violations=_traces(bad, came_from))


def _violations(world: World, faults: Faults) -> list[str]:
    running = [agent for agent in world.agents if agent.doing is Doing.RUNNING]
    found = ["two at once"] if len(running) > 1 else []
    if world.starts > 1 and world.faults == faults:
        found.append("rerun")
    return found


def _is_end(world: World) -> bool:
    """Whether there is nothing more to see: all is over, or a bound is reached."""
    if world.row.delivery >= MAX_DELIVERY or world.starts >= MAX_STARTS:
        return True
    quiet = not world.queue and not world.stream and world.api != "to publish"
    at_rest = all(agent.doing is not Doing.RUNNING for agent in world.agents)
    return world.row.status == "ended" and quiet and at_rest and all(p.step is Step.IDLE for p in world.plans)


def _can_reach(ends: list[World], backward: dict[World, list[World]]) -> set[World]:
    reached, todo = set(ends), deque(ends)
    while todo:
        for before in backward.get(todo.popleft(), ()):
            if before not in reached:
                reached.add(before)
                todo.append(before)
    return reached


def _traces(bad: dict[str, World], came_from: dict[World, tuple[World, str] | None]) -> dict[str, list[str]]:
    return {name: _trace(world, came_from) for name, world in bad.items()}


def _trace(world: World, came_from: dict[World, tuple[World, str] | None]) -> list[str]:
    labels = []
    step = came_from[world]
    while step is not None:
        world, label = step
        labels.append(label)
        step = came_from[world]
    return labels[::-1]
