"""Better placements: greedy ones of several sizes, improved by moves and swaps off the fullest node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workers.balancing.exact import search_all
from workers.balancing.placing import place_longest_first, remove_largest
from workers.balancing.problem import EPSILON, NOWHERE

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.balancing.problem import Loads, Placement, Problem

    Progress = Callable[[float, str], None]

MAX_STARTS = 32
MAX_IMPROVEMENTS = 500
"""Changes tried from each start."""
MAX_SWAP_ITEMS = 100
"""Items of the fullest node, the largest, that a swap is looked for."""


def best_placement(problem: Problem, bound: float, progress: Progress) -> tuple[Placement, bool]:
    """Return the placement of the lowest peak found within the bound on moves, then of the fewest moves.

    The second value is whether no placement has a lower peak: its peak is `bound`, or all were searched.
    """
    found = _best_start(problem, bound, progress)
    if problem.peak(found) <= bound * (1 + EPSILON):
        return found, True
    found, finished = search_all(problem, found)
    return _take_back(problem, found), finished


def _best_start(problem: Problem, bound: float, progress: Progress) -> Placement:
    sizes = _sizes(problem.max_moves)
    best: Placement | None = None
    best_key = (np.inf, 0)
    for done, size in enumerate(sizes):
        placement = place_longest_first(problem, remove_largest(problem, size))
        placement = _take_back(problem, _improve(problem, placement))
        key = (float(f"{problem.peak(placement):.9g}"), problem.moves(placement))
        if best is None or key < best_key:
            best, best_key = placement, key
        if problem.peak(placement) <= bound * (1 + EPSILON):
            break
        progress((done + 1) / len(sizes), f"tried {done + 1} of {len(sizes)} starts")
    if best is None:
        raise AssertionError("at least one start is tried")
    return best


def _sizes(max_moves: int) -> list[int]:
    """Return how many items the starts take off their nodes: few first, denser among small numbers."""
    if max_moves < MAX_STARTS:
        return list(range(max_moves + 1))
    return [0, *sorted({int(size) for size in np.geomspace(1, max_moves, MAX_STARTS - 1).round()})]


def _improve(problem: Problem, placement: Placement) -> Placement:
    current = placement.copy()
    for _ in range(MAX_IMPROVEMENTS):
        loads = problem.node_loads(current)
        peak_node = int(np.argmax(loads / problem.capacities))
        left = problem.max_moves - problem.moves(current)
        change = _best_change(problem, current, loads, peak_node, left)
        if change is None:
            break
        for item, node in change:
            current[item] = node
    return current


def _best_change(
    problem: Problem, current: Placement, loads: Loads, peak_node: int, left: int
) -> list[tuple[int, int]] | None:
    """Return the move or swap after which the fuller of its two nodes is least full, or None."""
    peak = float(loads[peak_node] / problem.capacities[peak_node]) * (1 - EPSILON)
    items = np.flatnonzero(current == peak_node)
    items = items[np.argsort(-problem.loads[items], kind="stable")]
    moved, move_peak = _best_move(problem, current, loads, items, left)
    swapped, swap_peak = _best_swap(problem, current, loads, items[:MAX_SWAP_ITEMS], left)
    if min(move_peak, swap_peak) >= peak:
        return None
    return moved if move_peak <= swap_peak else swapped


def _best_move(
    problem: Problem, current: Placement, loads: Loads, items: Placement, left: int
) -> tuple[list[tuple[int, int]], float]:
    node = int(current[items[0]]) if len(items) else 0
    weights = problem.loads[items][:, None]
    remaining = (loads[node] - weights) / problem.capacities[node]
    worst = np.maximum((loads[None, :] + weights) / problem.capacities[None, :], remaining)
    targets = np.arange(len(loads))
    cost = _cost(problem, items[:, None], targets[None, :]) - _cost(problem, items, current[items])[:, None]
    worst[(cost > left) | (targets[None, :] == node)] = np.inf
    if not worst.size:
        return [], np.inf
    row, target = np.unravel_index(int(np.argmin(worst)), worst.shape)
    return [(int(items[row]), int(target))], float(worst[row, target])


def _best_swap(
    problem: Problem, current: Placement, loads: Loads, items: Placement, left: int
) -> tuple[list[tuple[int, int]], float]:
    if not len(items):
        return [], np.inf
    node = int(current[items[0]])
    others = np.flatnonzero(current != node)
    if not len(others):
        return [], np.inf
    targets = current[others]
    shift = problem.loads[items][:, None] - problem.loads[others][None, :]
    worst = np.maximum(
        (loads[node] - shift) / problem.capacities[node],
        (loads[targets][None, :] + shift) / problem.capacities[targets][None, :],
    )
    cost = (
        _cost(problem, items[:, None], targets[None, :])
        + _cost(problem, others, np.full(len(others), node))[None, :]
        - _cost(problem, items, current[items])[:, None]
        - _cost(problem, others, targets)[None, :]
    )
    worst[cost > left] = np.inf
    row, column = np.unravel_index(int(np.argmin(worst)), worst.shape)
    return [
        (int(items[row]), int(targets[column])),
        (int(others[column]), node),
    ], float(worst[row, column])


def _cost(problem: Problem, items: Placement, nodes: Placement) -> Placement:
    """Return 1 where being on the node is a move of the item, else 0."""
    present = problem.present[items]
    moved = (present != nodes) & (present != NOWHERE)
    return np.asarray(moved, dtype=np.int64)


def _take_back(problem: Problem, placement: Placement) -> Placement:
    """Leave items where they are now, smallest first, wherever that does not raise the peak."""
    kept = placement.copy()
    peak = problem.peak(kept) * (1 + EPSILON)
    loads = problem.node_loads(kept)
    for item in np.argsort(problem.loads, kind="stable").tolist():
        own, load = int(problem.present[item]), problem.loads[item]
        if own not in (NOWHERE, kept[item]) and (loads[own] + load) / problem.capacities[own] <= peak:
            loads[kept[item]] -= load
            loads[own] += load
            kept[item] = own
    return kept
