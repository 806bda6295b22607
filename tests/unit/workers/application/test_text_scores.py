"""Each text score against another way to get it: counted by hand, by another library, or by brute force."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from workers.application import agent
from workers.quality.overlap import lcs_length
from workers.quality.tokens import WordSplitter

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "then", "slept", "there"]


def validate(outputs: list[str], references: Sequence[Any], **parameters: Any) -> dict[str, Any]:
    return agent.run("validate_quality", {"outputs": outputs, "references": list(references), **parameters})


def scores(output: str, reference: Any, **parameters: Any) -> dict[str, Any]:
    metrics = validate([output], [reference], **parameters)["metrics"]
    return {name: metric["value"] for name, metric in metrics.items()}


def random_texts(count: int, seed: int, most: int = 15) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randrange(most))) for _ in range(count)]


def test_scores_of_a_sentence_worked_out_by_hand() -> None:
    """Six words each, five in common and in order; n-grams met: 5/6, 3/5, 2/4, 1/3; no brevity."""
    found = scores("the cat sat on the mat", "the cat sat on a mat")

    assert found["exact_match"] == 0
    assert found["token_f1"] == pytest.approx(5 / 6)
    assert found["rouge_l"] == pytest.approx(5 / 6)
    product = Fraction(5, 6) * Fraction(3, 5) * Fraction(2, 4) * Fraction(1, 3)
    assert found["bleu"] == pytest.approx(100 * float(product) ** 0.25)


def test_bleu_pays_for_brevity_by_hand() -> None:
    found = scores("the cat sat on", "the cat sat on a mat and slept")
    assert found["bleu"] == pytest.approx(100 * 2.718281828459045 ** (1 - 8 / 4))


def test_token_f1_counts_repetition_and_rouge_l_keeps_order() -> None:
    found = scores("b a a", "a b a c")
    assert found["token_f1"] == pytest.approx(2 * 3 / 7)
    assert found["rouge_l"] == pytest.approx(2 * 2 / 7)


@pytest.mark.parametrize("tokenizer", ["13a", "intl", "char", "zh", "none"])
def test_bleu_is_that_of_sacrebleu_also_over_several_references(tokenizer: str) -> None:
    outputs = [f"{text}, 3.5 ok?" for text in random_texts(40, 1)]
    first, second = random_texts(40, 2), random_texts(40, 3)

    for references, nested in (
        ([first], first),
        ([first, second], list(map(list, zip(first, second, strict=True)))),
    ):
        found = validate(outputs, nested, bleu_tokenizer=tokenizer)
        metric = sacrebleu.BLEU(tokenize=tokenizer)
        expected = metric.corpus_score(outputs, references)
        assert found["metrics"]["bleu"]["value"] == pytest.approx(expected.score, abs=1e-9)
        assert found["tokenization"]["bleu"] == str(metric.get_signature())


def test_bleu_smooths_orders_without_a_match_as_sacrebleu_does() -> None:
    outputs, references = ["a b x c d y"], ["b a q d c z"]
    expected = sacrebleu.BLEU().corpus_score(outputs, [references]).score
    assert 0 < expected < 20
    assert scores(outputs[0], references[0])["bleu"] == pytest.approx(expected)


def test_rouge_l_is_that_of_rouge_score_on_ascii_words() -> None:
    outputs, references = random_texts(200, 4), random_texts(200, 5)
    scorer = RougeScorer(["rougeL"])
    pairs = [(o, r) for o, r in zip(outputs, references, strict=True) if o and r]

    expected = [scorer.score(r, o)["rougeL"].fmeasure for o, r in pairs]
    found = validate([o for o, _ in pairs], [r for _, r in pairs])
    assert found["metrics"]["rouge_l"]["value"] == pytest.approx(sum(expected) / len(expected))


def test_longest_common_subsequence_is_that_of_the_table() -> None:
    chance = random.Random(6)
    for alphabet in (2, 5, 300):
        for _ in range(60):
            first = [str(chance.randrange(alphabet)) for _ in range(chance.randrange(70))]
            second = [str(chance.randrange(alphabet)) for _ in range(chance.randrange(70))]
            assert lcs_length(first, second) == lcs_by_table(first, second)


def lcs_by_table(first: list[str], second: list[str]) -> int:
    row = [0] * (len(second) + 1)
    for a in first:
        before = row
        row = [0]
        for place, b in enumerate(second):
            row.append(before[place] + 1 if a == b else max(before[place + 1], row[-1]))
    return row[-1]


def test_best_reference_counts() -> None:
    found = scores("a b c d", ["x", "a b c d", "a b"])
    assert found == {"exact_match": 1, "token_f1": 1, "rouge_l": 1, "bleu": pytest.approx(100)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't STOP -- it's 3.5!", ["don", "t", "stop", "it", "s", "3", "5"]),
        ("Straße ﬁn Ⅷ", ["strasse", "fin", "viii"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("Привет, мир", ["привет", "мир"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("東京は3月GPU", ["東", "京", "は", "3", "月", "gpu"]),
        ("e\u0301te\u0301", ["été"]),
        ("\ud800 a\x00b", ["a", "b"]),
        ("?!", []),
        ("", []),
    ],
)
def test_words_of_any_script(text: str, words: list[str]) -> None:
    assert WordSplitter().words(text) == words


def test_scripts_without_spaces_are_compared_by_character() -> None:
    found = validate(["东京是首都"], ["东京是日本首都"])
    assert found["metrics"]["token_f1"]["value"] == pytest.approx(10 / 12)
    assert "tok:char" in found["tokenization"]["bleu"]
    assert "tok:13a" in validate(["東 is east"], ["東 is east indeed"])["tokenization"]["bleu"]


def test_exact_match_knows_one_text_in_two_encodings_and_case_only_if_told() -> None:
    assert scores("cafe\u0301  au\nlait ", "café au lait")["exact_match"] == 1
    assert scores("Yes.", "yes")["exact_match"] == 0
    assert scores("Yes.", "yes", match="words")["exact_match"] == 1
    assert scores("?!", "...", match="words") == {"exact_match": 0, "token_f1": 0, "rouge_l": 0, "bleu": None}


def test_empty_texts_have_defined_scores() -> None:
    found = validate(["", "", "a b c d", " "], ["", "a", "", "\n"])
    each = {pair["pair"]: pair["token_f1"] for pair in found["worst_pairs"]}
    assert each == {0: 1, 1: 0, 2: 0, 3: 1}
    assert (found["empty_outputs"], found["empty_references"]) == (3, 3)
    assert validate([""], ["a b c d"])["metrics"]["bleu"]["value"] == 0
    assert "hold no words" in validate([""], [""])["insufficient_data"]["bleu"]


def test_texts_too_short_for_bleu_have_none_and_pass_no_threshold() -> None:
    found = validate(["a b"], ["a b"], thresholds={"bleu": 0, "token_f1": 1})
    assert found["metrics"]["bleu"]["value"] is None
    assert "no 4-gram" in found["insufficient_data"]["bleu"]
    assert [item["passed"] for item in found["thresholds"]] == [True, False]
    assert found["verdict"] == "fail"


def test_result_is_plain_finite_bounded_json() -> None:
    found = validate(random_texts(2_000, 7), random_texts(2_000, 8))
    text = json.dumps(found, allow_nan=False)
    assert len(text) < 8_192
    assert len(found["worst_pairs"]) == 10
