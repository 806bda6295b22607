"""On pure noise the verdict is "no": over 1,000 seeded draws no more alarms than the level allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.unit.workers.application.noise import autoregressive, normal
from workers.regression.detectable import Plan
from workers.regression.detection import Question, Verdict, detect_between, detect_change
from workers.regression.ranking import Worse

if TYPE_CHECKING:
    from tests.unit.workers.application.noise import Floats, Process
    from workers.regression.detection import Finding

DRAWS = 1_000
LEVEL = 0.05


def poisson(generator: np.random.Generator, points: int) -> Floats:
    """Make counts of few distinct values, so that most are ties."""
    return generator.poisson(0.7, points).astype(float)


def heavy_tailed(generator: np.random.Generator, points: int) -> Floats:
    """Make values without a mean."""
    return generator.standard_cauchy(points)


def moving_average(generator: np.random.Generator, points: int) -> Floats:
    noise = generator.standard_normal(points + 1)
    return noise[1:] + 0.9 * noise[:-1]


def daily(generator: np.random.Generator, points: int) -> Floats:
    phase = generator.random()
    return generator.standard_normal(points) + 2 * np.sin(2 * np.pi * (np.arange(points) / 24 + phase))


PROCESSES = {
    "independent": normal,
    "ar 0.3": autoregressive(0.3),
    "ar 0.6": autoregressive(0.6),
    "ar 0.9": autoregressive(0.9),
    "alternating": autoregressive(-0.5),
    "moving average": moving_average,
    "heavy-tailed": heavy_tailed,
    "counts": poisson,
    "daily cycle": daily,
}


def is_alarm(finding: Finding) -> bool:
    assert finding.verdict is not Verdict.INSUFFICIENT_DATA
    return finding.verdict is Verdict.YES


def question(level: float = LEVEL, worse: Worse = Worse.EITHER, *, ordered: bool = True) -> Question:
    return Question(Plan(level, 0.8, worse), ordered=ordered)


CHANGE_CASES = [*((name, 60) for name in PROCESSES), ("independent", 200), ("ar 0.6", 20), ("ar 0.6", 200)]
PAIR_CASES = [("independent", 20), ("ar 0.9", 60), ("ar 0.6", 100), ("counts", 60), ("heavy-tailed", 60)]


@pytest.mark.parametrize(("name", "points"), CHANGE_CASES)
def test_change_point_alarms_on_noise_stay_within_the_level(name: str, points: int) -> None:
    generator = np.random.default_rng(2024)
    alarms = sum(
        is_alarm(detect_change(PROCESSES[name](generator, points), question())) for _ in range(DRAWS)
    )
    assert alarms <= LEVEL * DRAWS


@pytest.mark.parametrize(("name", "points"), PAIR_CASES)
def test_two_sample_alarms_on_noise_stay_within_the_level(name: str, points: int) -> None:
    generator = np.random.default_rng(2025)
    alarms = 0
    for _ in range(DRAWS):
        samples = (PROCESSES[name](generator, size) for size in (points // 2, points))
        alarms += is_alarm(detect_between(*samples, question()))
    assert alarms <= LEVEL * DRAWS


@pytest.mark.parametrize(("level", "worse"), [(0.01, Worse.HIGHER), (0.1, Worse.LOWER)])
def test_alarms_stay_within_other_levels_and_in_one_direction(level: float, worse: Worse) -> None:
    generator = np.random.default_rng(7)
    make = autoregressive(0.6)
    asked = question(level, worse)
    changes = sum(is_alarm(detect_change(make(generator, 60), asked)) for _ in range(DRAWS))
    pairs = sum(
        is_alarm(detect_between(make(generator, 40), make(generator, 40), asked)) for _ in range(DRAWS)
    )
    assert changes <= level * DRAWS
    assert pairs <= level * DRAWS


def test_classical_test_would_not_do_on_autocorrelated_noise() -> None:
    """The same draws, called independent: far more alarms than the level. That is what inflation is for."""
    generator = np.random.default_rng(8)
    make = autoregressive(0.6)
    alarms = sum(
        is_alarm(detect_between(make(generator, 50), make(generator, 50), question(ordered=False)))
        for _ in range(DRAWS)
    )
    assert alarms > 3 * LEVEL * DRAWS


def test_classical_test_keeps_its_level_on_independent_values() -> None:
    """Exactly at the level in the long run, so with four standard errors to spare."""
    generator = np.random.default_rng(9)
    alarms = sum(
        is_alarm(detect_between(normal(generator, 20), normal(generator, 20), question(ordered=False)))
        for _ in range(DRAWS)
    )
    assert alarms <= LEVEL * DRAWS + 4 * (DRAWS * LEVEL * (1 - LEVEL)) ** 0.5


@pytest.mark.parametrize(("name", "points"), [("independent", 100), ("ar 0.6", 500)])
def test_effect_called_detectable_is_found_as_often_as_planned(name: str, points: int) -> None:
    """The plan's power is 0.8, of an effect that the noise itself makes detectable; at least that is found.

    Two hundred draws: four standard errors are 11 %.
    """
    generator = np.random.default_rng(10)
    process: Process = PROCESSES[name]
    independent = name == "independent"
    asked = question(ordered=not independent)
    found = 0
    for _ in range(200):
        baseline, candidate = process(generator, points), process(generator, points)
        mde = detect_between(baseline, candidate, asked).figures["minimum_detectable_effect"]
        found += is_alarm(detect_between(baseline, candidate + mde["shift"], asked))
    assert found / 200 >= 0.69
    if independent:
        assert found / 200 <= 0.91


def test_change_of_the_size_called_detectable_is_found_as_often_as_planned() -> None:
    generator = np.random.default_rng(12)
    found = 0
    for _ in range(200):
        values = normal(generator, 200)
        shift = detect_change(values, question()).figures["minimum_detectable_effect"]["shift"]
        found += is_alarm(detect_change(values + shift * (np.arange(200) >= 100), question()))
    assert found / 200 >= 0.69
