"""The controller does not ask Redis before it gives a task away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.broker.answers import TakeBackAnswer, TakenBack
from orchestrator.broker.gateway import Broker

if TYPE_CHECKING:
    from collections.abc import Sequence


def apply() -> None:
    """Take everything back without a word to Redis."""
    broker: Any = Broker
    broker.take_back = _unasked


def _unasked(
    _: Broker, items: Sequence[tuple[str, int, str | None]], **_decision: Any
) -> list[TakeBackAnswer]:
    return [TakeBackAnswer(TakenBack.TAKEN, delivery + 1) for _task_id, delivery, _token in items]
