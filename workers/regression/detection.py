"""The whole of `detect_regression`: test, effect, what could have been seen, and the verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator import PermanentError
from workers.regression.change import pettitt
from workers.regression.detectable import (
    change_point_distance,
    describe_detectable,
    two_sample_distance,
)
from workers.regression.effect import compare
from workers.regression.ranking import Worse, mann_whitney

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workers.regression.detectable import (
        Plan,
    )
    from workers.regression.effect import Effect
    from workers.regression.ranking import RankTest
    from workers.regression.source import Sample

    Floats = NDArray[np.float64]

MIN_SERIES_POINTS = 20
"""With fewer the estimate of autocorrelation says nothing."""
MAX_CHANGES = 20
"""Changes within the sides that a result lists."""


class Verdict(StrEnum):
    """`no` means not shown: `minimum_detectable_effect` says what that leaves open."""

    YES = "yes"
    NO = "no"
    INSUFFICIENT_DATA = "insufficient_data"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the values."""

    plan: Plan
    minimum_shift: float = 0.0
    """Changes of the Hodges-Lehmann shift below this do not matter; in the values' unit."""
    ordered: bool = True
    """Whether the values come in time order and may be autocorrelated."""


@dataclass(slots=True)
class Finding:
    """What came out; `describe` makes it the result."""

    verdict: Verdict
    reason: str
    figures: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def describe(self, question: Question, notes: list[str]) -> dict[str, Any]:
        """Return the finding as JSON-able values, with what is odd in the input."""
        plan = question.plan
        return {
            "verdict": self.verdict.value,
            "reason": self.reason,
            "level": plan.level,
            "worse": plan.worse.value,
            "minimum_shift": question.minimum_shift,
            **self.figures,
            "notes": notes,
            "insufficient_data": self.reasons,
        }


def detect_between(baseline: Floats, candidate: Floats, question: Question) -> Finding:
    """Compare two samples."""
    too_few = _too_few_to_compare(len(baseline), len(candidate), question.plan)
    if too_few:
        return Finding(Verdict.INSUFFICIENT_DATA, too_few, _sizes(baseline, candidate))
    test = mann_whitney(baseline, candidate, question.plan.worse, ordered=question.ordered)
    distance = two_sample_distance(len(baseline), len(candidate), test.dependence, question.plan)
    return _finding(test, baseline, candidate, distance, question)


def detect_change(values: Floats, question: Question) -> Finding:
    """Look for one change of level in a series, at an unknown time.

    The effect is that between the values before and after the likeliest place. It is an estimate; only the
    test over all places decides, since a place chosen for its difference always shows one.
    """
    if len(values) < MIN_SERIES_POINTS:
        reason = f"{len(values)} points; a change point takes at least {MIN_SERIES_POINTS}"
        return Finding(Verdict.INSUFFICIENT_DATA, reason, {"points": len(values)})
    found = pettitt(values, question.plan.worse)
    test = found.test
    if test.split == len(values):
        figures = {"points": len(values), "p_value": 1.0, "change_point": None}
        return Finding(Verdict.NO, "all values are equal", figures)
    before, after = values[: test.split], values[test.split :]
    finding = _finding(test, before, after, change_point_distance(test.dependence, question.plan), question)
    finding.figures["change_point"] = {"points_before": len(before), "points_after": len(after)}
    finding.figures["changes_within_sides"] = found.within[:MAX_CHANGES]
    finding.figures["changes_within_sides_left_off"] = max(0, len(found.within) - MAX_CHANGES)
    return finding


def detect_in_sample(sample: Sample, change_at: int | None, question: Question) -> dict[str, Any]:
    """Return the result for one sample: searched for a change, or cut at a time (microseconds since 1970).

    Raises PermanentError for a time to cut at where there are no times, or no value on one side of it.
    """
    if change_at is None:
        finding = detect_change(sample.values, question)
    else:
        split = _split_at(change_at, sample)
        finding = detect_between(sample.values[:split], sample.values[split:], question)
        finding.figures["change_point"] = {"points_before": split, "points_after": len(sample.values) - split}
    place = finding.figures.get("change_point")
    if place and sample.series is not None:
        place["time"] = sample.series.time_text(place["points_before"])
    return finding.describe(question, sample.notes)


def _split_at(change_at: int, sample: Sample) -> int:
    if sample.series is None:
        raise PermanentError("change_at: the values have no times; give [time, value] pairs or a file")
    split = int(np.searchsorted(sample.series.times, np.datetime64(change_at, "us")))
    if not 0 < split < len(sample.values):
        raise PermanentError("change_at: no value of the series lies on one side of it; give a time within")
    return split


def _too_few_to_compare(n: int, m: int, plan: Plan) -> str | None:
    """Say so when even samples that do not overlap could not reach the level: 1 of C(n + m, n) orders."""
    sides = 2 if plan.worse is Worse.EITHER else 1
    if n and m and sides / math.comb(min(n, 50) + min(m, 50), min(n, 50)) <= plan.level:
        return None
    return f"{n} and {m} values cannot reach level {plan.level}, however far apart they are"


def _finding(
    test: RankTest, baseline: Floats, candidate: Floats, distance: float, question: Question
) -> Finding:
    effect = compare(baseline, candidate)
    verdict, reason = _decide(test, effect, question)
    finding = Finding(verdict, reason)
    finding.figures = {
        "p_value": test.p_value,
        "test": {
            "name": test.name,
            "statistic": test.statistic,
            "p_value_if_independent": test.p_value_if_independent,
        },
        "direction": effect.direction,
        "effect": effect.describe(),
        **_sizes(baseline, candidate),
        "autocorrelation": test.dependence.describe(),
        "minimum_detectable_effect": describe_detectable(
            distance, baseline, candidate, question.plan, finding.reasons
        ),
    }
    return finding


def _decide(test: RankTest, effect: Effect, question: Question) -> tuple[Verdict, str]:
    level = question.plan.level
    if test.p_value > level:
        return Verdict.NO, f"p = {test.p_value:.3g} is above the level {level}"
    if abs(effect.shift) < question.minimum_shift:
        return Verdict.NO, f"the shift of {effect.shift:.6g} is below the least that matters"
    return Verdict.YES, f"p = {test.p_value:.3g} is within the level {level}: values are {effect.direction}"


def _sizes(baseline: Floats, candidate: Floats) -> dict[str, Any]:
    return {"baseline": _summary(baseline), "candidate": _summary(candidate)}


def _summary(sample: Floats) -> dict[str, Any]:
    if not len(sample):
        return {"points": 0}
    low, middle, high = np.quantile(sample, [0.25, 0.5, 0.75])
    return {
        "points": len(sample),
        "quartile_1": float(low),
        "median": float(middle),
        "quartile_3": float(high),
    }
