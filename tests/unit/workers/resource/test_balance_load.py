"""Placements against every possible one, the bounds, and the limit on moves."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest

from orchestrator import PermanentError
from tests.unit.workers.billing import real_data
from workers.resource import MAX_ITEMS, MAX_NODES, agent

Things = list[dict[str, Any]]


def balance(items: Things, nodes: Things, max_moves: int | None = None) -> dict[str, Any]:
    return agent.run("balance_load", {"items": items, "nodes": nodes, "max_moves": max_moves})


def items_of(loads: list[float], present: list[int | None]) -> Things:
    return [
        {"id": f"i{number}", "load": load, "node": None if node is None else f"n{node}"}
        for number, (load, node) in enumerate(zip(loads, present, strict=True))
    ]


def nodes_of(capacities: list[float]) -> Things:
    return [{"id": f"n{number}", "capacity": capacity} for number, capacity in enumerate(capacities)]


def problem(seed: int, *, items: int, nodes: int, same: bool, unplaced: int = 0) -> tuple[Things, Things]:
    chance = random.Random(seed)
    capacities = [10.0 if same else chance.choice([5.0, 10.0, 20.0]) for _ in range(nodes)]
    loads = [chance.choice([chance.uniform(0.1, 9), float(chance.randint(1, 9))]) for _ in range(items)]
    present = [None if number < unplaced else chance.randrange(nodes) for number in range(items)]
    return items_of(loads, present), nodes_of(capacities)


def best_peak(items: Things, nodes: Things, max_moves: int) -> float:
    """Try every placement within the bound on moves."""
    names = [node["id"] for node in nodes]
    best = float("inf")
    for placement in itertools.product(names, repeat=len(items)):
        moves = sum(item["node"] not in (None, node) for item, node in zip(items, placement, strict=True))
        if moves <= max_moves:
            best = min(
                best, peak_of(items, nodes, dict(zip((i["id"] for i in items), placement, strict=True)))
            )
    return best


def peak_of(items: Things, nodes: Things, placement: dict[str, str | None]) -> float:
    return max(
        sum(item["load"] for item in items if placement[item["id"]] == node["id"]) / node["capacity"]
        for node in nodes
    )


def placement_of(items: Things, result: dict[str, Any]) -> dict[str, str | None]:
    """Carry out the moves of a result."""
    placement = {item["id"]: item["node"] for item in items}
    for move in result["moves"]:
        assert placement[move["item"]] == move["from"] != move["to"]
        placement[move["item"]] = move["to"]
    return placement


def assert_is_what_it_says(items: Things, nodes: Things, result: dict[str, Any]) -> None:
    after = placement_of(items, result)
    assert None not in after.values()
    assert result["after"]["peak_utilization"] == pytest.approx(peak_of(items, nodes, after))
    assert result["moves_made"] == sum(move["from"] is not None for move in result["moves"])
    mean = sum(item["load"] for item in items) / sum(node["capacity"] for node in nodes)
    for side in ("after", "lower_bound"):
        assert result[side]["imbalance"] == pytest.approx(result[side]["peak_utilization"] / mean - 1)
    before = {item["id"]: item["node"] for item in items}
    assert result["before"]["peak_utilization"] == pytest.approx(peak_of(items, nodes, before))
    for node in result["nodes"]:
        held = [item["load"] for item in items if after[item["id"]] == node["id"]]
        assert node["load_after"] == pytest.approx(sum(held))


@pytest.mark.parametrize("seed", range(40))
def test_small_problems_against_every_possible_placement(seed: int) -> None:
    same = seed % 2 == 0
    items, nodes = problem(seed, items=7, nodes=3, same=same, unplaced=seed % 3)
    for max_moves in (0, 1, 2, 4, 7):
        result = balance(items, nodes, max_moves)
        best = best_peak(items, nodes, max_moves)

        assert_is_what_it_says(items, nodes, result)
        assert result["moves_made"] <= max_moves
        assert result["lower_bound"]["peak_utilization"] <= best * (1 + 1e-9)
        peak = result["after"]["peak_utilization"]
        assert result["is_optimal"] is True
        assert peak == pytest.approx(best)


@pytest.mark.parametrize("seed", range(0, 20, 2))
def test_search_without_branch_and_bound_keeps_the_ratio_of_longest_first(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.balancing.exact.MAX_ITEMS", 0)
    items, nodes = problem(seed, items=7, nodes=3, same=True)
    result = balance(items, nodes)
    assert result["after"]["peak_utilization"] <= best_peak(items, nodes, 7) * (4 / 3 - 1 / 9) * (1 + 1e-9)


def test_larger_problems_come_close_to_the_bound_without_a_proof() -> None:
    gaps = []
    for seed in range(20):
        items, nodes = problem(seed, items=60, nodes=8, same=seed % 2 == 0)
        result = balance(items, nodes, 15)
        assert_is_what_it_says(items, nodes, result)
        assert result["moves_made"] <= 15
        assert result["gap_to_lower_bound"] >= -1e-9
        gaps.append(result["gap_to_lower_bound"])
    assert sum(gaps) / len(gaps) < 0.1


def test_no_moves_leave_everything_and_say_how_far_it_is_from_balanced() -> None:
    result = balance(items_of([6, 3, 1], [0, 0, 1]), nodes_of([10, 10]), 0)
    assert result["moves"] == []
    assert result["before"] == result["after"]
    assert result["before"]["imbalance"] == pytest.approx(0.9 / 0.5 - 1)
    assert result["lower_bound"] == {
        "peak_utilization": 0.9,
        "imbalance": pytest.approx(0.8),
        "follows_from": "moves",
    }
    assert result["is_optimal"] is True


@pytest.mark.parametrize(
    ("loads", "capacities", "peak", "reason"),
    [
        ([2, 2, 2, 2], [4, 4], 1.0, "total_load"),
        ([9, 1, 1], [10, 10], 0.9, "largest_items"),
        ([5, 5, 5], [10, 10], 1.0, "pigeonhole"),
        ([8, 8, 1], [10, 5], 17 / 15, "total_load"),
    ],
)
def test_lower_bounds_in_closed_form(
    loads: list[float], capacities: list[float], peak: float, reason: str
) -> None:
    result = balance(items_of(loads, [0] * len(loads)), nodes_of(capacities))
    assert result["lower_bound"]["peak_utilization"] == pytest.approx(peak)
    assert result["lower_bound"]["follows_from"] == reason


def test_balanced_placement_is_left_alone() -> None:
    result = balance(items_of([3, 3, 3, 3], [0, 0, 1, 1]), nodes_of([10, 10]))
    assert (result["moves"], result["is_optimal"]) == ([], True)


def test_nodes_carry_in_proportion_to_their_capacity() -> None:
    result = balance(items_of([1.0] * 30, [0] * 30), nodes_of([10, 20]))
    assert [node["load_after"] for node in result["nodes"]] == [10, 20]
    assert result["moves_made"] == 20


def test_items_without_a_node_are_placed_and_are_no_moves() -> None:
    result = balance(items_of([4, 4, 4], [None, None, 0]), nodes_of([10, 10, 10]), 0)
    assert (result["moves_made"], result["items_placed_first"]) == (0, 2)
    assert {move["from"] for move in result["moves"]} == {None}
    assert result["after"]["peak_utilization"] == pytest.approx(0.4)
    assert "items without a node: 2" in result["notes"][0]


def test_what_cannot_fit_is_said() -> None:
    impossible = balance(items_of([9, 9, 9], [0, 0, 1]), nodes_of([10, 10]))
    assert impossible["after"]["overloaded_nodes"] == 1
    assert any("no placement within the bound on moves keeps" in note for note in impossible["notes"])


def test_items_without_any_load_have_no_imbalance() -> None:
    result = balance(items_of([0, 0], [0, 0]), nodes_of([1, 1]))
    assert result["after"]["imbalance"] is None
    assert "no item has a load" in result["insufficient_data"]["imbalance"]
    assert (result["moves"], result["gap_to_lower_bound"]) == ([], 0)


@pytest.mark.parametrize("max_moves", [None, 100])
def test_the_largest_problem_ends_and_its_result_stays_small(max_moves: int | None) -> None:
    chance = random.Random(9)
    items = [
        {"id": f"i{number:063}", "load": chance.expovariate(1), "node": f"n{chance.randrange(MAX_NODES):063}"}
        for number in range(MAX_ITEMS)
    ]
    nodes = [{"id": f"n{number:063}", "capacity": 20.0} for number in range(MAX_NODES)]
    result = balance(items, nodes, max_moves)
    assert len(json.dumps(result, allow_nan=False)) < 1024 * 1024
    assert result["moves_made"] <= (MAX_ITEMS if max_moves is None else max_moves)
    assert result["after"]["peak_utilization"] < result["before"]["peak_utilization"]
    assert result == balance(items, nodes, max_moves)


def test_real_mean_utilisations_are_spread_at_the_optimum() -> None:
    loads = []
    for name in ("24ae8d", "53ea38", "825cc2", "ac20cd"):
        lines = (
            real_data(f"cloudwatch/ec2_cpu_utilization_{name}.csv").read_text(encoding="utf-8").split("\n")
        )
        values = [float(line.split(",")[1]) for line in lines[1:] if line]
        loads.append(sum(values) / len(values))
    items, nodes = items_of(loads, [0, 0, 0, 0]), nodes_of([100, 100])
    for max_moves in (1, 4):
        result = balance(items, nodes, max_moves)
        assert_is_what_it_says(items, nodes, result)
        assert result["after"]["peak_utilization"] == pytest.approx(best_peak(items, nodes, max_moves))


@pytest.mark.parametrize(
    ("items", "nodes", "message"),
    [
        (items_of([1, 1], [0, 5]), nodes_of([1]), r"item 2 \('i1'\): there is no node 'n5'"),
        (items_of([1], [0]) * 2, nodes_of([1]), "items: id 'i0' stands at 1 and at 2"),
        (items_of([1], [0]), nodes_of([1]) * 2, "nodes: id 'n0' stands at 1 and at 2"),
        ([], nodes_of([1]), "do not fit the schema"),
        (items_of([1], [0]), [], "do not fit the schema"),
        (items_of([-1], [0]), nodes_of([1]), "do not fit the schema"),
        (items_of([float("nan")], [0]), nodes_of([1]), "do not fit the schema"),
        (items_of([1], [0]), nodes_of([0]), "do not fit the schema"),
        ([{"id": "a b", "load": 1}], nodes_of([1]), "do not fit the schema"),
    ],
)
def test_what_is_no_problem_is_refused(items: Things, nodes: Things, message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        balance(items, nodes)
