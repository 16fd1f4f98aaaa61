"""Near-duplicate texts: words in threes, and an index that finds the accepted question that a new one is too like."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

THRESHOLD: Final = 0.7
"""Two texts are near duplicates from this Jaccard similarity of their word triples on."""
UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Letters of scripts that put no space between words (Thai, Lao, Burmese, Khmer, Japanese, Chinese), for a class of a
regular expression: each counts as a word."""
WORD: Final = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")
"""A word, or a letter of such a script."""
_WORD_OR_SIGN = re.compile(rf"{WORD.pattern}|[^\w\s]")

Key = TypeVar("Key", bound=Hashable)


def shingles(text: str) -> set[str]:
    """Return a text's words and signs in threes, in small letters; all of a shorter text is one."""
    words = _WORD_OR_SIGN.findall(text.lower())
    return {" ".join(words[n : n + 3]) for n in range(max(1, len(words) - 2))}


def long_word(least: int) -> re.Pattern[str]:
    """Return what `words_by` finds words of at least so many letters by; figures are none.

    Scripts that put no space between words give every run of half as many letters: one says more there.
    """
    return re.compile(rf"[^\W\d_{UNSPACED}]{{{least},}}|(?=([{UNSPACED}]{{{-(-least // 2)}}}))")


def words_by(pattern: re.Pattern[str], text: str) -> list[str]:
    """Return a text's words by a pattern of `long_word`, in small letters."""
    return [found[0] or found[1] for found in pattern.finditer(text.lower())]


class ShingleIndex(Generic[Key]):
    """Texts by key; the one most like another is found exactly, by what they have in common."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        """Take texts as near duplicates from this Jaccard similarity on, in 0..1."""
        self.threshold = threshold
        self._shingles: dict[Key, set[str]] = {}
        self._holders: dict[str, set[Key]] = {}

    def add(self, key: Key, text: str) -> None:
        """Put a text in, in place of the one that had its key."""
        for shingle in self._shingles.pop(key, ()):
            self._holders[shingle].discard(key)
        self._shingles[key] = found = shingles(text)
        for shingle in found:
            self._holders.setdefault(shingle, set()).add(key)

    def nearest(self, text: str, *, but: Key | None = None) -> Key | None:
        """Return the key of the text most like this one, the first of equals; None where none is a near duplicate.

        The text of the key `but` is left out.
        """
        own = shingles(text)
        common = Counter(key for shingle in own for key in self._holders.get(shingle, ()) if key != but)
        best: tuple[float, Key] | None = None
        for key in (key for key in self._shingles if key in common):
            similarity = common[key] / (len(own) + len(self._shingles[key]) - common[key])
            if similarity >= self.threshold and (best is None or similarity > best[0]):
                best = similarity, key
        return best[1] if best else None
