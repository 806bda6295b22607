"""What is to be balanced, as arrays, and how full the nodes of a placement are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator import PermanentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Loads = NDArray[np.float64]
    Placement = NDArray[np.int64]

NOWHERE = -1
"""The present node of an item that is not placed yet."""
EPSILON = 1e-9
"""Two utilisations closer than this part of the larger are the same."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Item i with `loads[i]` is on node `present[i]` or NOWHERE; node j holds `capacities[j]`."""

    loads: Loads
    present: Placement
    capacities: Loads
    max_moves: int
    """Placed items that may change their node; placing one that is nowhere is no move."""

    def node_loads(self, placement: Placement) -> Loads:
        """Return the sum of loads on each node, items that are nowhere left out."""
        placed = placement != NOWHERE
        sums = np.bincount(placement[placed], self.loads[placed], minlength=len(self.capacities))
        return sums.astype(np.float64)

    def utilization(self, placement: Placement) -> Loads:
        """Return load ÷ capacity of each node."""
        return self.node_loads(placement) / self.capacities

    def peak(self, placement: Placement) -> float:
        """Return the utilisation of the fullest node."""
        return float(self.utilization(placement).max())

    def moves(self, placement: Placement) -> int:
        """Count the placed items that change their node."""
        return int(((placement != self.present) & (self.present != NOWHERE)).sum())


def read_problem(
    items: Sequence[dict[str, Any]], nodes: Sequence[dict[str, Any]], max_moves: int | None
) -> Problem:
    """Return the problem, or raise PermanentError naming an id that stands twice or a node not there."""
    positions = _positions("nodes", nodes)
    _positions("items", items)
    present = []
    for number, item in enumerate(items, start=1):
        node = item["node"]
        if node is not None and node not in positions:
            raise PermanentError(f"items: item {number} ({item['id']!r}): there is no node {node!r}")
        present.append(NOWHERE if node is None else positions[node])
    return Problem(
        np.array([item["load"] for item in items], dtype=np.float64),
        np.array(present, dtype=np.int64),
        np.array([node["capacity"] for node in nodes], dtype=np.float64),
        len(items) if max_moves is None else min(max_moves, len(items)),
    )


def _positions(what: str, things: Sequence[dict[str, Any]]) -> dict[str, int]:
    positions: dict[str, int] = {}
    for number, thing in enumerate(things):
        first = positions.setdefault(thing["id"], number)
        if first != number:
            raise PermanentError(
                f"{what}: id {thing['id']!r} stands at {first + 1} and at {number + 1}; ids must differ"
            )
    return positions
