"""Picking the passage a question is written from: code chooses where to look, the model only what to ask."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

_SENTENCE_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"')\]])|(?<=[.!?][\"')\]]{2}))\s+(?=[\"'(\[]?[A-Z0-9])")
_ABBREVIATION = re.compile(
    r"\b(?:e\.g|i\.e|etc|cf|vs|al|vol|approx|Inc|Ltd|Dr|Mr|Mrs|Ms|Prof|St|No|Fig|Eq|ca|[A-Z])\.$"
)
_CODE = re.compile(r"^(```|~~~).*?(?:^\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_NO_PROSE = re.compile(r"\s*(?:#|[-*+]\s|---|[|>]|\d+[.)]\s)")
_NUMBER = re.compile(r"\d")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][A-Za-z]+")


@dataclass(frozen=True)
class Passage:
    """Consecutive whole sentences of one section, and the sentence a question shall be about."""

    text: str
    anchor: str


def sentences(paragraph: str) -> list[str]:
    """Split one paragraph into sentences; a dot inside a number or after a common abbreviation ends none."""
    parts = _SENTENCE_END.split(" ".join(paragraph.split()))
    joined: list[list[str]] = []
    for part in parts:
        if joined and _ABBREVIATION.search(joined[-1][-1][-12:]):
            joined[-1].append(part)
        else:
            joined.append([part])
    return [sentence for pieces in joined if (sentence := " ".join(pieces))]


def anchors(text: str, max_words: int = 150) -> list[Passage]:
    """Return every passage of a text with its anchor: a sentence holding a number, a date or a name.

    Each passage is at most `max_words` words of consecutive sentences of one paragraph around its anchor. Headings,
    lists, tables and code are left out. A sentence longer than `max_words` is no anchor.
    """
    return [_around(place, max_words) for place in _places(text, max_words)]


@dataclass(frozen=True)
class _Place:
    """A sentence of a paragraph, and how many words each sentence of it has."""

    parts: list[str]
    words: list[int]
    at: int


def _places(text: str, max_words: int) -> list[_Place]:
    found: list[_Place] = []
    for block in re.split(r"\n\s*\n", _CODE.sub("", text)):
        if _NO_PROSE.match(block):
            continue
        parts = sentences(block)
        words = [len(sentence.split()) for sentence in parts]
        for at, sentence in enumerate(parts):
            if 6 <= words[at] <= max_words and (_NUMBER.search(sentence) or _NAME.search(sentence)):
                found.append(_Place(parts, words, at))
    return found


def pick(text: str, n: int, seed: int, max_words: int = 150) -> Passage | None:
    """Return the passage of round `n` (1-based): no anchor comes twice before all have come once; None without any."""
    choices = _places(text, max_words)
    if not choices:
        return None
    random.Random(seed).shuffle(choices)  # noqa: S311 - a reproducible order, not a secret
    return _around(choices[(n - 1) % len(choices)], max_words)


def _around(place: _Place, max_words: int) -> Passage:
    """Widen from the anchor, before and after in turn, while whole sentences fit."""
    first = last = place.at
    words = place.words[place.at]
    grown = True
    while grown:
        grown = False
        for new in (first - 1, last + 1):
            if 0 <= new < len(place.parts) and words + place.words[new] <= max_words:
                words += place.words[new]
                first, last, grown = min(first, new), max(last, new), True
    return Passage(" ".join(place.parts[first : last + 1]), place.parts[place.at])
