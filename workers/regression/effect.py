"""How large a difference between two samples is, whatever the values' distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_SIZES = ((0.147, "negligible"), (0.33, "small"), (0.474, "medium"))
"""Bounds of |Cliff's delta| after Romano et al. 2006; above them: large."""
BISECTIONS = 80
"""From the widest difference down to what floating point can tell apart."""


@dataclass(frozen=True, slots=True)
class Effect:
    """The candidate against the baseline."""

    superiority: float
    """P(candidate > baseline) + P(equal)/2: U divided by the number of pairs."""
    shift: float
    """Hodges-Lehmann: the median of all differences candidate minus baseline, in the values' unit."""
    baseline_median: float

    @property
    def cliffs_delta(self) -> float:
        """P(candidate > baseline) - P(candidate < baseline): -1 to 1; the rank-biserial correlation."""
        return 2 * self.superiority - 1

    @property
    def direction(self) -> str:
        """Where the candidate lies: higher, lower or same."""
        if self.superiority == 0.5:  # noqa: PLR2004 - as often above as below
            return "same"
        return "higher" if self.superiority > 0.5 else "lower"  # noqa: PLR2004

    def describe(self) -> dict[str, Any]:
        """Return the effect as JSON-able values; the percentage is null for a baseline median of 0."""
        delta = self.cliffs_delta
        base = abs(self.baseline_median)
        percent = 100 * self.shift / base if base > 0 else None
        return {
            "probability_of_superiority": self.superiority,
            "cliffs_delta": delta,
            "size": next((name for bound, name in _SIZES if abs(delta) < bound), "large"),
            "hodges_lehmann_shift": self.shift,
            "shift_percent_of_baseline_median": percent if percent is None or np.isfinite(percent) else None,
        }


def compare(baseline: Floats, candidate: Floats) -> Effect:
    """Return the effect between two samples that are not empty, from their sorted values."""
    below, above = np.sort(baseline), np.sort(candidate)
    pairs = len(below) * len(above)
    smaller = int(np.searchsorted(below, above, "left").sum())
    not_larger = int(np.searchsorted(below, above, "right").sum())
    return Effect(
        superiority=(smaller + not_larger) / (2 * pairs),
        shift=_median_difference(below, above),
        baseline_median=float(np.median(below)),
    )


def _median_difference(below: Floats, above: Floats) -> float:
    """Return the median of all differences above - below, both sorted, without making the differences.

    A bound is halved until it holds the middle rank; the largest difference within it is then taken itself.
    """
    pairs = len(below) * len(above)
    rank = (pairs + 1) // 2
    rounding = 4 * float(np.spacing(max(np.abs(below).max(), np.abs(above).max())))
    low, high = float(above[0] - below[-1]), float(above[-1] - below[0]) + rounding
    for _ in range(BISECTIONS):
        bound = low / 2 + high / 2
        if not low < bound < high:
            break
        if _within(below, above, bound).sum() >= rank:
            high = bound
        else:
            low = bound
    within = _within(below, above, high)
    has_some = within > 0
    lower = float((above[within[has_some] - 1] - below[has_some]).max())
    if pairs % 2 == 1 or within.sum() > rank:
        return lower
    has_more = within < len(above)
    return lower / 2 + float((above[within[has_more]] - below[has_more]).min()) / 2


def _within(below: Floats, above: Floats, bound: float) -> NDArray[np.intp]:
    """Return for each lower value how many upper values are at most `bound` away."""
    return np.searchsorted(above, below + bound, "right")
