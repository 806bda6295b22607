"""Texts made comparable: one normal form, and words of any script.

A word is a run of letters, marks and digits (Unicode categories L, M, N) after NFKC and case folding; all
else separates. Scripts written without spaces (Han, Kana, Thai, Lao, Khmer, Myanmar) have no words to be
found without a dictionary: each of their code points is a word of its own.
"""

from __future__ import annotations

import unicodedata

UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # Han iteration mark, closing mark, zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xAA60, 0xAA7F),
    (0xF900, 0xFAFF),
    (0x20000, 0x323AF),
)
"""Code points, first and last, of scripts written without spaces (Unicode block chart)."""
WORDS_STATED = (
    "NFKC, case folded; runs of letters, marks and digits; "
    "each code point of Han, Kana, Thai, Lao, Khmer and Myanmar by itself; no stemming, no articles dropped"
)


def is_unspaced(code_point: int) -> bool:
    """Whether the code point belongs to a script written without spaces."""
    return any(first <= code_point <= last for first, last in UNSPACED)


class WordSplitter(dict[int, str]):
    """Splits texts into words; remembers what it found out about each code point it met."""

    def __missing__(self, code_point: int) -> str:
        character = chr(code_point)
        if unicodedata.category(character)[0] not in "LMN":
            replacement = " "
        elif is_unspaced(code_point):
            replacement = f" {character} "
        else:
            replacement = character
        self[code_point] = replacement
        return replacement

    def words(self, text: str) -> list[str]:
        """Return the words of a text, in order."""
        return unicodedata.normalize("NFKC", text).casefold().translate(self).split()


def canonical(text: str) -> str:
    """Return the text in NFC, each run of white space one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def unspaced_share(texts: list[str]) -> float:
    """Return which part of all letters belongs to scripts written without spaces: 0 to 1."""
    letters = unspaced = 0
    for text in texts:
        for character in filter(str.isalpha, text):
            letters += 1
            unspaced += ord(character) >= UNSPACED[0][0] and is_unspaced(ord(character))
    return unspaced / letters if letters else 0.0
