"""What one output shares with one reference: equality, words in common, words in common in order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workers.quality.tokens import canonical

if TYPE_CHECKING:
    from workers.quality.tokens import WordSplitter

FREQUENT = 16
"""A word met so often keeps its places as one integer; that of a rarer one is made when it is needed."""


@dataclass(frozen=True, slots=True)
class PreparedText:
    """A text in its canonical form, and its words."""

    canonical: str
    words: list[str]

    @classmethod
    def of(cls, text: str, splitter: WordSplitter) -> PreparedText:
        """Prepare a text for comparison."""
        return cls(canonical(text), splitter.words(text))


def is_match(output: PreparedText, reference: PreparedText, *, by_words: bool) -> bool:
    """Whether both are equal: as canonical texts, or word by word.

    Texts without a single word ("?!") are compared as canonical texts either way.
    """
    if by_words and (output.words or reference.words):
        return output.words == reference.words
    return output.canonical == reference.canonical


def token_f1(output: PreparedText, reference: PreparedText) -> float:
    """Return the harmonic mean of precision and recall over words, counted with repetition (as SQuAD does).

    Without a word on either side: 1 for equal texts, else 0.
    """
    if not output.words or not reference.words:
        return _without_words(output, reference)
    shared = (Counter(output.words) & Counter(reference.words)).total()
    return 2 * shared / (len(output.words) + len(reference.words))


def rouge_l(output: PreparedText, reference: PreparedText) -> float:
    """Return ROUGE-L (Lin 2004), F-measure with beta 1, of the whole texts as one sequence of words.

    With L words in the longest common subsequence: 2 L / (words of output + words of reference). Without a
    word on either side: 1 for equal texts, else 0.
    """
    if not output.words or not reference.words:
        return _without_words(output, reference)
    shared = lcs_length(output.words, reference.words)
    return 2 * shared / (len(output.words) + len(reference.words))


def _without_words(output: PreparedText, reference: PreparedText) -> float:
    return float(not output.words and not reference.words and output.canonical == reference.canonical)


def lcs_length(first: list[str], second: list[str]) -> int:
    """Return the length of the longest common subsequence, by bits in parallel (Hyyro 2004).

    No table of length times length is made: memory is at most a sixteenth of that in bits.
    """
    shared = set(first) & set(second)
    first = [word for word in first if word in shared]
    second = [word for word in second if word in shared]
    if len(first) > len(second):
        first, second = second, first
    places = _places(first)
    frequent = {word: _bits(at) for word, at in places.items() if len(at) >= FREQUENT}
    full = (1 << len(first)) - 1
    row = full
    for word in second:
        met = row & (frequent[word] if word in frequent else _bits(places[word]))
        row = ((row + met) | (row - met)) & full
    return len(first) - row.bit_count()


def _places(words: list[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, word in enumerate(words):
        places.setdefault(word, []).append(place)
    return places


def _bits(places: list[int]) -> int:
    """Return the integer whose set bits are the places, given in rising order."""
    data = bytearray(places[-1] // 8 + 1)
    for place in places:
        data[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(data, "little")
