"""BLEU of a corpus (Papineni et al. 2002), with the tokenizers, smoothing and scale of sacreBLEU (Post 2018).

A pair is reduced to ten counts; those of any sample of pairs add up to the sample's BLEU, which is what a
bootstrap needs. Order 4, case kept, exponential smoothing, no effective order: what sacreBLEU does when not
told.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from importlib import import_module, metadata
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Tokenizer = Callable[[str], str]

ORDER = 4
COUNTS = 2 + 2 * ORDER
"""Output words, reference words, then matching n-grams and n-grams of the output for n of 1 to ORDER."""
_TOKENIZERS = {
    "13a": ("tokenizer_13a", "Tokenizer13a"),
    "intl": ("tokenizer_intl", "TokenizerV14International"),
    "zh": ("tokenizer_zh", "TokenizerZh"),
    "char": ("tokenizer_char", "TokenizerChar"),
    "none": ("tokenizer_none", "NoneTokenizer"),
}
TOKENIZER_NAMES = tuple(_TOKENIZERS)
"""Those of sacreBLEU that need no model to be fetched and no dictionary."""
_CACHING_MODULES = ("13a", "intl", "zh", "char", "re")


@contextmanager
def tokenizer(name: str) -> Iterator[Tokenizer]:
    """Yield sacreBLEU's tokenizer of that name; afterwards let go of the texts that sacreBLEU remembers."""
    module, class_name = _TOKENIZERS[name]
    loaded = getattr(import_module(f"sacrebleu.tokenizers.{module}"), class_name)()
    try:
        yield lambda text: str(loaded(text.rstrip()))
    finally:
        _forget_texts()


def _forget_texts() -> None:
    for name in _CACHING_MODULES:
        module = import_module(f"sacrebleu.tokenizers.tokenizer_{name}")
        for item in vars(module).values():
            if isinstance(item, type) and hasattr(item.__call__, "cache_clear"):
                item.__call__.cache_clear()


def signature(tokenizer_name: str, reference_counts: set[int]) -> str:
    """Return sacreBLEU's signature of how this BLEU is computed."""
    references = str(*reference_counts) if len(reference_counts) == 1 else "var"
    version = metadata.version("sacrebleu")
    return f"nrefs:{references}|case:mixed|eff:no|tok:{tokenizer_name}|smooth:exp|version:{version}"


def pair_counts(output: str, references: list[str], tokenize: Tokenizer) -> list[int]:
    """Return the COUNTS of one output: n-grams clipped by the references, the nearest length of one."""
    words = tokenize(output).split()
    wanted = [tokenize(reference).split() for reference in references]
    nearest = min((len(reference) for reference in wanted), key=lambda size: (abs(size - len(words)), size))
    matches, totals = [], []
    for n in range(1, ORDER + 1):
        given = _ngrams(words, n)
        allowed: Counter[tuple[str, ...]] = Counter()
        for reference in wanted:
            allowed |= _ngrams(reference, n)
        matches.append((given & allowed).total())
        totals.append(max(0, len(words) - n + 1))
    return [len(words), nearest, *matches, *totals]


def _ngrams(words: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(n)), strict=False))


def corpus_bleu(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return BLEU of 0 to 100 for each row of summed COUNTS.

    An order without a match counts 1/2 match, the next such order 1/4, and so on (mteval's smoothing). Zero
    where not one word matches, and where the outputs have no n-gram of some order.
    """
    output_length, reference_length = sums[:, 0], sums[:, 1]
    matches, totals = sums[:, 2 : 2 + ORDER], sums[:, 2 + ORDER :]
    without = np.cumsum(matches == 0, axis=1)
    smoothed = np.where(matches == 0, 0.5**without, matches)
    defined = (totals > 0).all(axis=1) & (matches > 0).any(axis=1)
    precisions = smoothed / np.where(totals > 0, totals, 1)
    shortness = 1 - reference_length / np.where(output_length > 0, output_length, 1)
    brevity = np.exp(np.minimum(0.0, shortness))
    return np.where(defined, 100 * brevity * np.exp(np.log(precisions).mean(axis=1)), 0.0)
