"""Peaks that no placement can be below, each with the reason it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workers.balancing.placing import remove_largest

if TYPE_CHECKING:
    from workers.balancing.problem import Loads, Problem


def lower_bound(problem: Problem) -> tuple[float, str]:
    """Return the highest of the known lower bounds on the peak utilisation, and which one it is.

    total_load     all load over all capacity: the mean cannot be above the peak
    largest_items  the j largest items are on j nodes or fewer, so over the j largest capacities at best
    pigeonhole     of the q * nodes + 1 largest items, q + 1 share a node (of the largest capacity at best)
    moves          each node freed of its largest items, as many in all as may move, those at the peak first
                   (Aggarwal, Motwani, Zhu: The load rebalancing problem, SPAA 2003)
    """
    loads = np.sort(problem.loads)[::-1]
    capacities = np.sort(problem.capacities)[::-1]
    known = {
        "total_load": float(loads.sum() / capacities.sum()),
        "largest_items": _largest_items(loads, capacities),
        "pigeonhole": _pigeonhole(loads, capacities),
        "moves": problem.peak(remove_largest(problem, problem.max_moves)),
    }
    name = max(known, key=lambda key: known[key])
    return known[name], name


def _largest_items(loads: Loads, capacities: Loads) -> float:
    count = min(len(loads), len(capacities))
    return float((np.cumsum(loads[:count]) / np.cumsum(capacities[:count])).max())


def _pigeonhole(loads: Loads, capacities: Loads) -> float:
    sums = np.concatenate(([0.0], np.cumsum(loads)))
    shared = np.arange(1, (len(loads) - 1) // len(capacities) + 1)
    if not len(shared):
        return 0.0
    last = shared * len(capacities) + 1
    return float(((sums[last] - sums[last - shared - 1]) / capacities[0]).max())
