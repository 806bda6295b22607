"""Series made for a test, and plain readings of what a forecast of them must be."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

from workers.resource import agent

if TYPE_CHECKING:
    from collections.abc import Sequence

Points = list[list[float]]
HOUR = 3600


def hourly(values: Sequence[float]) -> Points:
    return [[number * HOUR, value] for number, value in enumerate(values)]


def daily_wave(days: int, *, noise: float, seed: int = 1) -> list[float]:
    """Return hourly values around 50 with a wave of a day and normal noise of the given deviation."""
    chance = random.Random(seed)
    return [50 + 20 * math.sin(2 * math.pi * hour / 24) + chance.gauss(0, noise) for hour in range(24 * days)]


def predict(series: Any, **parameters: Any) -> dict[str, Any]:
    return agent.run("predict_scaling", {"series": series, **parameters})


def errors_of(test: dict[str, Any], name: str) -> tuple[float, float]:
    """Recompute mean absolute and root mean square error from the forecasts of a result."""
    pairs = [
        (own, actual)
        for own, actual, naive in zip(test[name], test["actual"], test["naive"], strict=True)
        if actual is not None and naive is not None
    ]
    count = len(pairs)
    assert count == test["steps_scored"]
    absolute = sum(abs(own - actual) for own, actual in pairs) / count
    return absolute, math.sqrt(sum((own - actual) ** 2 for own, actual in pairs) / count)
