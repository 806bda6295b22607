"""Intervals that cover, thresholds that judge, and input that is refused."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from math import comb
from typing import Any

import numpy as np
import pytest

from orchestrator import PermanentError
from tests.unit.workers.application.test_text_scores import random_texts, validate
from tests.unit.workers.billing import PROJECT
from workers.quality.bootstrap import exact_proportion_interval, percentile_interval, resampled_sums
from workers.quality.schemas import MAX_ALL_CHARACTERS, MAX_PAIRS, MAX_TEXT_CHARACTERS


def matches(good: int, bad: int, **parameters: Any) -> dict[str, Any]:
    return validate(["a b c d"] * (good + bad), ["a b c d"] * good + ["x"] * bad, **parameters)


def test_interval_of_a_share_is_near_the_quantiles_of_the_binomial() -> None:
    """Drawing 100 of 100 pairs with 70 good ones is binomial(100, 0.7): its 2.5 % quantiles are known."""
    found = matches(70, 30, resamples=10_000)["metrics"]["exact_match"]
    shares = np.cumsum([comb(100, k) * 0.7**k * 0.3 ** (100 - k) for k in range(101)])
    low, high = (int(np.searchsorted(shares, tail)) / 100 for tail in (0.025, 0.975))
    assert found["low"] == pytest.approx(low, abs=0.011)
    assert found["high"] == pytest.approx(high, abs=0.011)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """300 samples of 60 uniform scores, mean 1/2; the share lies within four standard errors of 95 %."""
    generator = np.random.default_rng(11)
    covered = 0
    for seed in range(300):
        sums = resampled_sums(generator.random((60, 1)), 400, seed)
        low, high = percentile_interval(sums[:, 0] / 60, 0.95)
        covered += low <= 0.5 <= high
    assert abs(covered / 300 - 0.95) < 4 * (0.95 * 0.05 / 300) ** 0.5


def test_resampled_bleu_is_that_of_the_pairs_drawn() -> None:
    """With two pairs there are three possible resamples; the interval's ends are two of their scores."""
    outputs, references = (
        ["the cat sat on a mat", "the mat slept on the cat there"],
        [
            "the cat sat on the mat",
            "the mat slept on a cat then",
        ],
    )
    possible = [
        validate([outputs[i], outputs[j]], [references[i], references[j]])["metrics"]["bleu"]["value"]
        for i, j in ((0, 0), (0, 1), (1, 1))
    ]
    bleu = validate(outputs, references)["metrics"]["bleu"]
    assert bleu["low"] == pytest.approx(min(possible))
    assert bleu["high"] == pytest.approx(max(possible))


@pytest.mark.parametrize(("good", "all_"), [(10, 10), (0, 10), (7, 10), (1, 1)])
def test_exact_interval_solves_its_own_equations(good: int, all_: int) -> None:
    """Clopper-Pearson: at the low end P(X >= good) is 2.5 %, at the high end P(X <= good) is."""
    low, high = exact_proportion_interval(good, all_, 0.95)

    def probability(k: int, p: float) -> float:
        return comb(all_, k) * p**k * (1 - p) ** (all_ - k)

    if good:
        assert sum(probability(k, low) for k in range(good, all_ + 1)) == pytest.approx(0.025)
    if good < all_:
        assert sum(probability(k, high) for k in range(good + 1)) == pytest.approx(0.025)
    assert (low == 0, high == 1) == (good == 0, good == all_)


def test_same_seed_same_intervals_and_another_seed_others() -> None:
    outputs, references = random_texts(50, 1), random_texts(50, 2)
    first, again, other = (validate(outputs, references, seed=seed) for seed in (5, 5, 6))
    assert first == again
    assert first["metrics"]["token_f1"]["low"] != other["metrics"]["token_f1"]["low"]
    assert first["metrics"]["token_f1"]["value"] == other["metrics"]["token_f1"]["value"]


def test_threshold_is_reached_by_being_met_and_certain_only_beyond_the_interval() -> None:
    for threshold, passed, certain in (
        (0.5, True, True),
        (0.7, True, False),
        (0.71, False, False),
        (0.9, False, True),
    ):
        found = matches(70, 30, thresholds={"exact_match": threshold})
        item = found["thresholds"][0]
        assert (item["passed"], item["certain"], item["compared"]) == (passed, certain, 0.7)
        assert found["verdict"] == ("pass" if passed else "fail")


def test_lower_bound_lets_ten_of_ten_pass_only_what_ten_can_show() -> None:
    """The bootstrap of ten equal scores has no width; the exact lower bound is 0.025^(1/10) = 0.69."""
    found = matches(10, 0, thresholds={"exact_match": 0.7}, criterion="lower_bound")
    assert found["metrics"]["exact_match"]["low"] == 1
    assert found["thresholds"][0]["compared"] == pytest.approx(0.025**0.1)
    assert found["verdict"] == "fail"
    assert any("bootstrap cannot see" in note for note in found["notes"])


def test_all_thresholds_must_be_reached_and_none_judges_nothing() -> None:
    assert matches(8, 2, thresholds={"exact_match": 0.8, "rouge_l": 0.81})["verdict"] == "fail"
    assert matches(8, 2, thresholds={"exact_match": 0.8, "rouge_l": 0.8})["verdict"] == "pass"
    found = matches(8, 2)
    assert (found["verdict"], found["passed"], found["thresholds"]) == ("not_judged", None, [])


def test_single_pair_has_no_bootstrap_interval() -> None:
    found = validate(["a"], ["a"], thresholds={"token_f1": 0.5}, criterion="lower_bound")
    assert found["metrics"]["token_f1"]["low"] is None
    assert "single pair" in found["insufficient_data"]["intervals"]
    assert found["verdict"] == "fail"


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"outputs": [], "references": []}, "outputs"),
        ({"outputs": ["a"], "references": ["a", "b"]}, "1 outputs, but 2 references"),
        ({"outputs": [None], "references": ["a"]}, "outputs"),
        ({"outputs": ["a"], "references": [None]}, "references"),
        ({"outputs": ["a"], "references": [[]]}, "1 to 10 references"),
        ({"outputs": ["a"], "references": [["a"] * 11]}, "1 to 10 references"),
        ({"outputs": ["a" * (MAX_TEXT_CHARACTERS + 1)], "references": ["a"]}, "Longer than"),
        ({"outputs": ["a"], "references": ["a" * (MAX_TEXT_CHARACTERS + 1)]}, "Longer than"),
        ({"outputs": ["a" * 90_000] * 45, "references": ["a"] * 45}, f"at most {MAX_ALL_CHARACTERS}"),
        ({"outputs": ["a"] * (MAX_PAIRS + 1), "references": ["a"] * (MAX_PAIRS + 1)}, "outputs"),
        ({"outputs": ["a"], "references": ["a"], "thresholds": {"blue": 1}}, "blue"),
        ({"outputs": ["a"], "references": ["a"], "thresholds": {"token_f1": 50}}, "token_f1"),
        ({"outputs": ["a"], "references": ["a"], "thresholds": {"bleu": float("nan")}}, "bleu"),
        ({"outputs": ["a"], "references": ["a"], "resamples": 10**9}, "resamples"),
        ({"outputs": ["a"], "references": ["a"], "bleu_tokenizer": "flores200"}, "bleu_tokenizer"),
    ],
)
def test_input_that_is_refused_for_good(parameters: dict[str, Any], field: str) -> None:
    with pytest.raises(PermanentError, match=field):
        validate(**parameters)


def test_threshold_of_bleu_that_looks_like_a_share_is_remarked() -> None:
    found = validate(["a b c d"], ["a b c d"], thresholds={"bleu": 0.3})
    assert any("scale of 0 to 100" in note for note in found["notes"])


def test_longest_texts_take_seconds_and_no_table_of_their_product() -> None:
    chance = random.Random(3)
    characters = [chr(0x4E00 + n) for n in range(300)]
    texts = ["".join(chance.choices(characters, k=MAX_TEXT_CHARACTERS)) for _ in range(2)]
    started = time.monotonic()
    found = validate(texts[:1], texts[1:])
    assert time.monotonic() - started < 20
    assert 0 < found["metrics"]["rouge_l"]["value"] < 1


def test_validating_loads_no_package_that_fetches_data_and_keeps_no_text() -> None:
    code = (
        "import sys\n"
        "from workers.application import agent\n"
        "assert not {'sacrebleu', 'scipy', 'nltk'} & set(sys.modules)\n"
        "agent.run('validate_quality', {'outputs': ['kept?'], 'references': ['kept?']})\n"
        "assert not {'nltk', 'rouge_score', 'scipy.stats'} & set(sys.modules)\n"
        "from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a, TokenizerRegexp\n"
        "assert Tokenizer13a.__call__.cache_info().currsize == 0\n"
        "assert TokenizerRegexp.__call__.cache_info().currsize == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, timeout=60)
