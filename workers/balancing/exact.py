"""Small problems to the end: branch and bound over every placement within the bound on moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from workers.balancing.problem import EPSILON, NOWHERE

if TYPE_CHECKING:
    from workers.balancing.problem import Placement, Problem

MAX_ITEMS = 40
MAX_TRIALS = 100_000
"""Items put on a node, over the whole search; then it ends unfinished."""


def search_all(problem: Problem, known: Placement) -> tuple[Placement, bool]:
    """Return the best placement found, starting from a known one, and whether it is proven to be the best.

    Only a lower peak counts as better. Problems of more than MAX_ITEMS are returned as they came.
    """
    if len(problem.loads) > MAX_ITEMS:
        return known, False
    search = _Search(problem, known, problem.peak(known))
    finished = search.descend(0, 0)
    return search.best, finished


@dataclass(slots=True)
class _Search:
    problem: Problem
    best: Placement
    best_peak: float
    trials: int = 0
    order: list[int] = field(init=False)
    remaining: list[float] = field(init=False)
    node_loads: list[float] = field(init=False)
    capacities: list[float] = field(init=False)
    placed: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.order = np.argsort(-self.problem.loads, kind="stable").tolist()
        loads = self.problem.loads[self.order]
        self.remaining = [*np.cumsum(loads[::-1])[::-1].tolist(), 0.0]
        self.capacities = self.problem.capacities.tolist()
        self.node_loads = [0.0] * len(self.capacities)
        self.placed = [NOWHERE] * len(self.order)

    def descend(self, depth: int, moves: int) -> bool:
        """Try every node for the next largest item; False when the trials ran out."""
        if depth == len(self.order):
            self.best = np.array(self.placed, dtype=np.int64)
            self.best_peak = self.problem.peak(self.best)
            return True
        item = self.order[depth]
        load, own = float(self.problem.loads[item]), int(self.problem.present[item])
        for node in self._nodes_by_fullness(load):
            cost = moves + (own not in (NOWHERE, node))
            after = self.node_loads[node] + load
            if cost > self.problem.max_moves or after >= self._limit() * self.capacities[node]:
                continue
            self.trials += 1
            if self.trials > MAX_TRIALS:
                return False
            before, self.node_loads[node], self.placed[item] = self.node_loads[node], after, node
            finished = not self._has_room(depth + 1) or self.descend(depth + 1, cost)
            self.node_loads[node], self.placed[item] = before, NOWHERE
            if not finished:
                return False
        return True

    def _limit(self) -> float:
        return self.best_peak * (1 - EPSILON)

    def _nodes_by_fullness(self, load: float) -> list[int]:
        return sorted(
            range(len(self.capacities)),
            key=lambda node: (self.node_loads[node] + load) / self.capacities[node],
        )

    def _has_room(self, depth: int) -> bool:
        """Whether the items left could fit below the best peak if they were fluid."""
        limit = self._limit()
        room = sum(
            max(limit * capacity - load, 0.0)
            for capacity, load in zip(self.capacities, self.node_loads, strict=True)
        )
        return self.remaining[depth] <= room
