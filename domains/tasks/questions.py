"""What code can say about a question by itself: tried before, standing alone, answer given away."""

from __future__ import annotations

import re
from collections.abc import Iterable

from autodata.checkpoints.asked import asked

_POINTERS = re.compile(
    r"\b(?:the|this|that|given|above|provided|following) "
    r"(?:passage|text|document|article|paper|section|paragraph|sentence|excerpt|example|table|figure"
    r"|context(?! of\b| switch))\b"
    r"|\baccording to (?:the|this)\b"
    r"|\b(?:as )?(?:mentioned|described|stated|discussed) (?:above|here|earlier|in)\b"
    r"|\bthe authors?\b"
    r"|\b(?:table|figure|section|equation) \d+\b",
    re.IGNORECASE,
)
_SOURCES = re.compile(
    r"\b(?:the|this|that|our|given|present) (?:paper|article|manuscript|study's authors)\b"
    r"|\bthis (?:document|passage|text|excerpt|study)\b"
    r"|\bthe (?:authors?|passage|excerpt)\b"
    r"|\b(?:table|figure|fig\.|section|equation|appendix) \d+\b"
    r"|\bas (?:mentioned|described|stated|discussed) (?:above|earlier|here)\b",
    re.IGNORECASE,
)
_PRONOUNS = re.compile(r"\b(?:it|its|they|their|them|he|she|his|her)\b", re.IGNORECASE)
_DEMONSTRATIVES = re.compile(r"\b(?:this|these|those)\b", re.IGNORECASE)
_WORD = re.compile(r"(?:(?<![\w)])-(?=\d))?\w+(?:[.,]\d+)*|[%°$€£]")
"""Words and numbers; a minus before a number and the signs that make it another quantity count too."""


def normalised(question: str) -> str:
    """Return a question's words in lower case, for comparing."""
    return " ".join(_WORD.findall(question.lower().replace("\N{MINUS SIGN}", "-")))


def tried_before(question: str, earlier: Iterable[str]) -> bool:
    """Whether a question is one of the earlier ones, by the same measure as `checkpoints.asked.question_key`."""
    return asked(question) in {asked(other) for other in earlier}


def not_standing_alone(question: str) -> str | None:
    """Return why a question cannot be understood without its source, or None.

    It points at "the text", uses a demonstrative, or a pronoun before anything is named.
    """
    if match := _POINTERS.search(question) or _DEMONSTRATIVES.search(question):
        return f"the question points at its source: {match.group(0)!r}"
    match = _PRONOUNS.search(question)
    if match and not re.search(r"[A-Z0-9]", question[1 : match.start()]):
        return f"the question has a dangling pronoun: {match.group(0)!r}"
    return None


def contains_tokens(text: str, part: str) -> bool:
    """Whether all words of `part` stand in `text`, whole and in the same order without gaps."""
    inner = normalised(part)
    return bool(inner) and f" {inner} " in f" {normalised(text)} "


def paper_references(text: str) -> list[str]:
    """Return phrases that tie a text to its source, such as "in this paper" or "Table 3" (paper, section 3).

    Narrower than what a bare fact may say: a question on databases has tables and documents of its own.
    """
    return [match.group(0) for match in _SOURCES.finditer(text)]
