"""Series made for a test, from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scipy.signal import lfilter

from workers.application import agent

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Process = Callable[[np.random.Generator, int], Floats]

WARM_UP = 200


def autoregressive(*weights: float) -> Process:
    """Return a process in which each value takes `weights` of the ones before it, plus normal noise."""

    def make(generator: np.random.Generator, points: int) -> Floats:
        noise = generator.standard_normal(points + WARM_UP)
        return lfilter([1.0], [1.0, *(-weight for weight in weights)], noise)[WARM_UP:]

    return make


def normal(generator: np.random.Generator, points: int) -> Floats:
    """Make independent normal values."""
    return generator.standard_normal(points)


def detect(**parameters: Any) -> dict[str, Any]:
    """Run the task."""
    return agent.run("detect_regression", parameters)


def as_series(values: Floats, step_seconds: int = 300) -> list[list[float]]:
    """Return values as a series given inline, one per step from 2024-01-01."""
    return [[1_704_067_200 + at * step_seconds, value] for at, value in enumerate(values.tolist())]
