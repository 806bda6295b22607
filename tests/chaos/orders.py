"""Which tasks are submitted: kinds, their mix, and what each may come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

MIX: dict[str, int] = {
    "quick": 34,
    "slow": 22,
    "exclusive": 12,
    "failing": 6,
    "retrying": 9,
    "crashing": 3,
    "hanging": 3,
    "cancelled": 5,
    "raced": 4,
    "delayed": 6,
}
"""Shares of the kinds. `cancelled`, `raced` (a cancellation comes about when it ends) and `delayed` have no
handler of their own."""

EXPECTED: dict[str, frozenset[str]] = {
    "quick": frozenset({"completed"}),
    "slow": frozenset({"completed"}),
    "exclusive": frozenset({"completed"}),
    "long exclusive": frozenset({"completed"}),
    "failing": frozenset({"failed"}),
    "retrying": frozenset({"completed"}),
    "crashing": frozenset({"completed", "failed"}),
    "hanging": frozenset({"timeout"}),
    "cancelled": frozenset({"cancelled"}),
    "raced": frozenset({"completed", "cancelled"}),
    "delayed": frozenset({"completed"}),
}
"""How each kind may end; any may also fail as poison, when faults killed its agents too often."""
CANCELLED_RUN_SECONDS = 40.0
"""A task that is to be cancelled would run so long: whoever forgets the wish is seen running on."""


LONG_RUN_SECONDS = 10.0
"""Longer than it takes to give a frozen agent's task away."""
RETRY_SOON = {"retry_delay_seconds": 0.2}
NEVER = 99


@dataclass(frozen=True, slots=True)
class Order:
    """One submission to be made."""

    kind: str
    body: dict[str, Any]
    cancel_after_seconds: float | None = None


def draw(rng: random.Random, mix: Mapping[str, int], journal: str) -> Order:
    """Return a random order."""
    kind = rng.choices(list(mix), weights=list(mix.values()))[0]
    handler, parameters, fields = _details(kind, rng)
    parameters = {"journal": journal, **parameters}
    body = {"agent_type": "chaos", "task_type": handler, "parameters": parameters, **fields}
    return Order(kind, body, rng.uniform(0, 2.0) if kind in ("cancelled", "raced") else None)


def _details(kind: str, rng: random.Random) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return handler, parameters and the submission's other fields."""
    details: tuple[str, dict[str, Any], dict[str, Any]]
    match kind:
        case "slow" | "exclusive" | "raced":
            details = (
                "exclusive" if kind == "exclusive" else "slow",
                {"seconds": round(rng.uniform(0.2, 2.0), 2)},
                {},
            )
        case "long exclusive":
            details = "exclusive", {"seconds": LONG_RUN_SECONDS}, {}
        case "failing":
            parameters = {"seconds": round(rng.uniform(0, 0.3), 2), "permanent": rng.random() < 0.5}
            details = kind, parameters, {"max_retries": 1, **RETRY_SOON}
        case "retrying":
            details = kind, {"works_at": rng.randint(2, 3)}, RETRY_SOON
        case "crashing":
            details = kind, {"works_at": rng.choice((2, 2, NEVER))}, {}
        case "hanging":
            details = kind, {"stubborn": rng.random() < 0.5}, {"timeout_seconds": 1, "max_retries": 0}
        case "cancelled":
            details = "slow", {"seconds": CANCELLED_RUN_SECONDS}, {"timeout_seconds": 120}
        case "delayed":
            details = "quick", {}, {"delay_seconds": round(rng.uniform(0.3, 3.0), 2)}
        case _:
            details = "quick", {}, {}
    return details
