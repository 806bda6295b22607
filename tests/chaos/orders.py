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
    "delayed": 6,
}
"""Shares of the kinds; those with a handler of another name are `cancelled` (slow) and `delayed` (quick)."""

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
    "delayed": frozenset({"completed"}),
}
"""How each kind may end; any may also fail as poison, when faults killed its agents too often."""
CANCELLED_RUN_SECONDS = 40.0
"""A task that is to be cancelled would run so long: whoever forgets the wish is seen running on."""


@dataclass(frozen=True, slots=True)
class Order:
    """One submission to be made."""

    kind: str
    body: dict[str, Any]
    cancel_after_seconds: float | None = None


def draw(rng: random.Random, mix: Mapping[str, int], journal: str) -> Order:
    """Return a random order."""
    kind = rng.choices(list(mix), weights=list(mix.values()))[0]
    match kind:
        case "slow" | "exclusive":
            return _order(kind, kind, journal, {"seconds": round(rng.uniform(0.2, 2.0), 2)})
        case "long exclusive":
            return _order(kind, "exclusive", journal, {"seconds": 10.0})
        case "failing":
            parameters = {"seconds": round(rng.uniform(0, 0.3), 2), "permanent": rng.random() < 0.5}
            return _order(kind, kind, journal, parameters, max_retries=1, retry_delay_seconds=0.2)
        case "retrying":
            works_at = rng.randint(2, 3)
            return _order(kind, kind, journal, {"works_at": works_at}, retry_delay_seconds=0.2)
        case "crashing":
            return _order(kind, kind, journal, {"works_at": rng.choice((2, 2, 99))})
        case "hanging":
            parameters = {"stubborn": rng.random() < 0.5}
            return _order(kind, kind, journal, parameters, timeout_seconds=1, max_retries=0)
        case "cancelled":
            body = _order(kind, "slow", journal, {"seconds": CANCELLED_RUN_SECONDS}, timeout_seconds=120).body
            return Order(kind, body, cancel_after_seconds=rng.uniform(0, 2.0))
        case "delayed":
            return _order(kind, "quick", journal, {}, delay_seconds=round(rng.uniform(0.3, 3.0), 2))
        case _:
            return _order(kind, "quick", journal, {})


def _order(kind: str, handler: str, journal: str, parameters: dict[str, Any], **fields: Any) -> Order:
    parameters = {"journal": journal, **parameters}
    return Order(kind, {"agent_type": "chaos", "task_type": handler, "parameters": parameters, **fields})
