"""Pass or fail: each score against its threshold, all of them together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, assert_never

if TYPE_CHECKING:
    from workers.quality.bootstrap import Interval


class Criterion(StrEnum):
    """Which figure must reach the threshold."""

    ESTIMATE = "estimate"
    LOWER_BOUND = "lower_bound"
    """The lower end of the confidence interval: passes only what is surely good enough."""


@dataclass(slots=True)
class Score:
    """A score of all pairs, on a scale of 0 to `scale`; None where the texts do not allow one."""

    value: float | None
    interval: Interval | None
    scale: int
    exact_interval: Interval | None = None
    """Of a proportion; where there is one, it is the one that judges."""

    def judging_interval(self) -> Interval | None:
        """Return the interval that says whether a threshold is surely reached."""
        return self.exact_interval or self.interval

    def describe(self) -> dict[str, Any]:
        """Return the score as JSON-able values."""
        low, high = self.interval or (None, None)
        described = {"value": self.value, "low": low, "high": high, "scale": [0, self.scale]}
        if self.exact_interval:
            described["exact_low"], described["exact_high"] = self.exact_interval
        return described


@dataclass(frozen=True, slots=True)
class Judgement:
    """One threshold, the figure held against it, and what came of it."""

    metric: str
    threshold: float
    compared: float | None
    passed: bool
    certain: bool
    """Whether the confidence interval lies wholly on one side of the threshold."""

    def describe(self) -> dict[str, Any]:
        """Return the judgement as JSON-able values."""
        return {
            "metric": self.metric,
            "threshold": self.threshold,
            "compared": self.compared,
            "passed": self.passed,
            "certain": self.certain,
        }


@dataclass(frozen=True, slots=True)
class Judgements:
    """All thresholds of a run."""

    criterion: Criterion
    items: list[Judgement]

    def describe(self) -> dict[str, Any]:
        """Return the verdict: `not_judged` without a threshold, else `pass` when every one is reached."""
        passed = all(item.passed for item in self.items) if self.items else None
        verdict = {None: "not_judged", True: "pass", False: "fail"}[passed]
        return {
            "verdict": verdict,
            "passed": passed,
            "criterion": self.criterion.value,
            "thresholds": [item.describe() for item in self.items],
        }


def judge(scores: dict[str, Score], thresholds: dict[str, float], criterion: Criterion) -> Judgements:
    """Hold each score against its threshold. A figure that is not known passes nothing."""
    return Judgements(
        criterion,
        [_judge(name, scores[name], threshold, criterion) for name, threshold in thresholds.items()],
    )


def _judge(name: str, score: Score, threshold: float, criterion: Criterion) -> Judgement:
    interval = score.judging_interval()
    match criterion:
        case Criterion.ESTIMATE:
            compared = score.value
        case Criterion.LOWER_BOUND:
            compared = interval[0] if interval else None
        case _:
            assert_never(criterion)
    return Judgement(
        metric=name,
        threshold=threshold,
        compared=compared,
        passed=compared is not None and compared >= threshold,
        certain=interval is not None and not interval[0] < threshold <= interval[1],
    )
