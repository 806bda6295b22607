"""The whole of `validate_quality`: a row of figures per pair, scores of all pairs, intervals, judgements."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.quality.bleu import COUNTS, ORDER, corpus_bleu, pair_counts, signature, tokenizer
from workers.quality.bootstrap import exact_proportion_interval, percentile_interval, resampled_sums
from workers.quality.judgement import Criterion, Score, judge
from workers.quality.overlap import PreparedText, is_match, rouge_l, token_f1
from workers.quality.tokens import WORDS_STATED, WordSplitter, unspaced_share

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Progress = Callable[[float, str], None]

PAIR_METRICS = ("exact_match", "token_f1", "rouge_l")
METRICS = (*PAIR_METRICS, "bleu")
WORST_PAIRS = 10
REPORTS = 20
MIN_PAIRS_FOR_INTERVAL = 2
FEW_PAIRS = 30
"""Below this a note says that the intervals are too narrow."""
HALF = 0.5
SCORING_SHARE = 0.8
"""Part of the whole run that scoring the pairs takes, for progress."""


@dataclass(frozen=True, slots=True)
class Choices:
    """How the texts are compared and the scores are judged."""

    match_by_words: bool = False
    bleu_tokenizer: str | None = None
    """None: char where most letters belong to scripts written without spaces, else 13a."""
    confidence: float = 0.95
    resamples: int = 1_000
    seed: int = 0
    thresholds: dict[str, float] = field(default_factory=dict)
    criterion: Criterion = Criterion.ESTIMATE


def validate(
    outputs: list[str], references: list[list[str]], choices: Choices, progress: Progress
) -> dict[str, Any]:
    """Return scores, intervals and judgements of outputs against as many non-empty lists of references.

    An output's exact match, token F1 and ROUGE-L are the best over its references.
    """
    chosen = choices.bleu_tokenizer or _fitting_tokenizer(references)
    table = _table(outputs, references, choices, chosen, progress)
    progress(SCORING_SHARE, f"scored {len(outputs)} pairs; resampling")
    reasons: dict[str, str] = {}
    scores = _scores(table, choices, reasons)
    judgements = judge(scores, choices.thresholds, choices.criterion)
    return {
        **judgements.describe(),
        "pairs": len(outputs),
        "metrics": {name: score.describe() for name, score in scores.items()},
        "bootstrap": _describe_bootstrap(choices),
        "tokenization": {
            "words": WORDS_STATED,
            "exact_match": "equal words"
            if choices.match_by_words
            else "equal texts in NFC, white space as one",
            "bleu": signature(chosen, {len(wanted) for wanted in references}),
        },
        "empty_outputs": sum(not text.strip() for text in outputs),
        "empty_references": sum(not text.strip() for wanted in references for text in wanted),
        "worst_pairs": _worst(table),
        "notes": _notes(scores, choices, len(outputs)),
        "insufficient_data": reasons,
    }


def _fitting_tokenizer(references: list[list[str]]) -> str:
    mostly_unspaced = unspaced_share([text for wanted in references for text in wanted]) > HALF
    return "char" if mostly_unspaced else "13a"


def _table(
    outputs: list[str], references: list[list[str]], choices: Choices, chosen: str, progress: Progress
) -> NDArray[np.float64]:
    """Return a row per pair: the PAIR_METRICS, then the counts of BLEU."""
    table = np.empty((len(outputs), len(PAIR_METRICS) + COUNTS))
    splitter = WordSplitter()
    every = max(1, len(outputs) // REPORTS)
    with tokenizer(chosen) as tokenize:
        for row, (output, wanted) in enumerate(zip(outputs, references, strict=True)):
            given = PreparedText.of(output, splitter)
            prepared = [PreparedText.of(text, splitter) for text in wanted]
            table[row] = [
                max(is_match(given, text, by_words=choices.match_by_words) for text in prepared),
                max(token_f1(given, text) for text in prepared),
                max(rouge_l(given, text) for text in prepared),
                *pair_counts(output, wanted, tokenize),
            ]
            if row % every == 0:
                progress(SCORING_SHARE * row / len(outputs), f"scored {row} of {len(outputs)} pairs")
    return table


def _scores(table: NDArray[np.float64], choices: Choices, reasons: dict[str, str]) -> dict[str, Score]:
    pairs = len(table)
    means, counts = slice(0, len(PAIR_METRICS)), slice(len(PAIR_METRICS), None)
    values = [*table[:, means].mean(axis=0), *corpus_bleu(table[:, counts].sum(axis=0)[None, :])]
    intervals: list[tuple[float, float] | None] = [None] * len(METRICS)
    if pairs >= MIN_PAIRS_FOR_INTERVAL:
        sums = resampled_sums(table, choices.resamples, choices.seed)
        resampled = [*(sums[:, means] / pairs).T, corpus_bleu(sums[:, counts])]
        intervals = [percentile_interval(column, choices.confidence) for column in resampled]
    else:
        reasons["intervals"] = "a single pair has no spread to draw from"
    scores = {
        name: Score(float(value), interval, scale=100 if name == "bleu" else 1)
        for name, value, interval in zip(METRICS, values, intervals, strict=True)
    }
    matches = round(float(table[:, 0].sum()))
    scores["exact_match"].exact_interval = exact_proportion_interval(matches, pairs, choices.confidence)
    _withhold_undefined_bleu(table[:, counts].sum(axis=0), scores["bleu"], reasons)
    return scores


def _withhold_undefined_bleu(sums: NDArray[np.float64], bleu: Score, reasons: dict[str, str]) -> None:
    """Say why BLEU of order 4 is no figure for these texts, rather than call it 0."""
    if sums[1] == 0:
        reasons["bleu"] = "the references hold no words"
    elif sums[0] > 0 and sums[2 + ORDER + ORDER - 1] == 0:
        reasons["bleu"] = f"no output has {ORDER} words, so there is no {ORDER}-gram to compare"
    if "bleu" in reasons:
        bleu.value = bleu.interval = None


def _describe_bootstrap(choices: Choices) -> dict[str, Any]:
    return {
        "method": "percentile bootstrap over pairs (PCG64)",
        "resamples": choices.resamples,
        "seed": choices.seed,
        "confidence": choices.confidence,
    }


def _worst(table: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return the pairs of the lowest token F1, then ROUGE-L; `pair` counts from 0 in the order given."""
    rows = heapq.nsmallest(
        WORST_PAIRS, range(len(table)), key=lambda row: (table[row, 1], table[row, 2], row)
    )
    return [
        {"pair": row, **{name: float(table[row, at]) for at, name in enumerate(PAIR_METRICS)}} for row in rows
    ]


def _notes(scores: dict[str, Score], choices: Choices, pairs: int) -> list[str]:
    notes = []
    if pairs < FEW_PAIRS:
        notes.append(
            f"with fewer than {FEW_PAIRS} pairs a percentile bootstrap is narrower than it should be"
        )
    pairs_alike = [name for name, score in scores.items() if score.interval and len(set(score.interval)) == 1]
    if pairs_alike:
        notes.append(
            f"every resample scores the same in {', '.join(pairs_alike)}: a bootstrap cannot see what no "
            "pair shows; exact_match has an exact interval beside it"
        )
    if 0 < choices.thresholds.get("bleu", 0) <= 1:
        notes.append("bleu is on a scale of 0 to 100; its threshold is 1 or less")
    return notes
