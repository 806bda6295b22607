"""`balance_load`: the moves, and the imbalance before, after, and at best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workers.balancing.bounds import lower_bound
from workers.balancing.problem import EPSILON, NOWHERE, read_problem
from workers.balancing.search import best_placement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workers.balancing.problem import Placement, Problem

    Progress = Callable[[float, str], None]
    Things = Sequence[dict[str, Any]]


def balance(items: Things, nodes: Things, *, max_moves: int | None, progress: Progress) -> dict[str, Any]:
    """Return a placement with a low peak utilisation that moves `max_moves` items at most (None: any number).

    Raises PermanentError for ids that stand twice and items on nodes that are not there.
    """
    problem = read_problem(items, nodes, max_moves)
    bound, reason = lower_bound(problem)
    after, is_best = best_placement(problem, bound, progress)
    peak = problem.peak(after)
    unplaced = int((problem.present == NOWHERE).sum())
    mean = float(problem.loads.sum() / problem.capacities.sum())
    return {
        "items": len(items),
        "max_moves": max_moves,
        "moves_made": problem.moves(after),
        "items_placed_first": unplaced,
        "before": _fullness(problem, problem.present, nodes, mean),
        "after": _fullness(problem, after, nodes, mean),
        "lower_bound": {
            "peak_utilization": bound,
            "imbalance": bound / mean - 1 if mean else None,
            "follows_from": reason,
        },
        "is_optimal": is_best or None,
        "gap_to_lower_bound": peak / bound - 1 if bound else 0.0,
        "moves": _moves(problem, after, items, nodes),
        "nodes": _nodes(problem, after, nodes),
        "notes": _notes(peak, unplaced, is_known=is_best or bound > 1 + EPSILON),
        "insufficient_data": {}
        if mean
        else {"imbalance": "no item has a load, so there is nothing to balance"},
    }


def _fullness(problem: Problem, placement: Placement, nodes: Things, mean: float) -> dict[str, Any]:
    utilization = problem.utilization(placement)
    fullest = int(utilization.argmax())
    peak = float(utilization[fullest])
    return {
        "peak_utilization": peak,
        "fullest_node": nodes[fullest]["id"],
        "lowest_utilization": float(utilization.min()),
        "standard_deviation": float(utilization.std()),
        "imbalance": peak / mean - 1 if mean else None,
        "overloaded_nodes": int((utilization > 1 + EPSILON).sum()),
    }


def _moves(problem: Problem, after: Placement, items: Things, nodes: Things) -> list[dict[str, Any]]:
    changed = [number for number in range(len(items)) if after[number] != problem.present[number]]
    changed.sort(key=lambda number: -problem.loads[number])
    return [
        {
            "item": items[number]["id"],
            "from": items[number]["node"],
            "to": nodes[after[number]]["id"],
            "load": float(problem.loads[number]),
        }
        for number in changed
    ]


def _nodes(problem: Problem, after: Placement, nodes: Things) -> list[dict[str, Any]]:
    loads = (problem.node_loads(problem.present), problem.node_loads(after))
    return [
        {
            "id": node["id"],
            "capacity": float(capacity),
            "load_before": float(before),
            "load_after": float(now),
            "utilization_before": float(before / capacity),
            "utilization_after": float(now / capacity),
        }
        for node, capacity, before, now in zip(nodes, problem.capacities, *loads, strict=True)
    ]


def _notes(peak: float, unplaced: int, *, is_known: bool) -> list[str]:
    notes = []
    if unplaced:
        notes.append(f"items without a node: {unplaced}; `before` counts the others only")
    if peak > 1 + EPSILON and is_known:
        notes.append("no placement within the bound on moves keeps every node within its capacity")
    elif peak > 1 + EPSILON:
        notes.append("a node stays above its capacity; whether another placement avoids it is not known")
    return notes
