"""Taking the largest items off the fullest nodes, and placing items longest first."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

from workers.balancing.problem import EPSILON, NOWHERE

if TYPE_CHECKING:
    from workers.balancing.problem import Placement, Problem


def remove_largest(problem: Problem, count: int) -> Placement:
    """Return the present placement with `count` items gone: each time the largest one of the fullest node."""
    placement = problem.present.copy()
    waiting: list[list[int]] = [[] for _ in problem.capacities]
    for item in np.argsort(problem.loads, kind="stable").tolist():
        if placement[item] != NOWHERE:
            waiting[placement[item]].append(item)
    loads = problem.node_loads(placement)
    heap = [(-loads[node] / problem.capacities[node], node) for node in range(len(loads)) if waiting[node]]
    heapq.heapify(heap)
    for _ in range(count):
        if not heap:
            break
        _, node = heapq.heappop(heap)
        item = waiting[node].pop()
        placement[item] = NOWHERE
        loads[node] -= problem.loads[item]
        if waiting[node]:
            heapq.heappush(heap, (-loads[node] / problem.capacities[node], node))
    return placement


def place_longest_first(problem: Problem, placement: Placement) -> Placement:
    """Place every item that is nowhere, largest first, on the node that is least full with it.

    The longest-processing-time rule (Graham, SIAM J. Appl. Math. 17, 1969; for nodes of several capacities:
    Gonzalez, Ibarra, Sahni, SIAM J. Comput. 6, 1977). Of equally good nodes the item's present one is taken.
    """
    placed = placement.copy()
    loads = problem.node_loads(placed)
    for item in np.argsort(-problem.loads, kind="stable").tolist():
        if placed[item] != NOWHERE:
            continue
        after = (loads + problem.loads[item]) / problem.capacities
        node, own = int(np.argmin(after)), int(problem.present[item])
        if own != NOWHERE and after[own] <= after[node] * (1 + EPSILON):
            node = own
        placed[item] = node
        loads[node] += problem.loads[item]
    return placed
