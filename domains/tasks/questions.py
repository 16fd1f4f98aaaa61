"""What code can say about a question by itself: tried before, standing alone, answer given away."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from autodata.checkpoints.ids import digest

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

_TOKEN = re.compile(
    r"\w+(?:[.,]\w+)*|(?<!\w)[.,](?=\w)|(?<!\w):|:(?=\S)|(?<=[\d)\]}])!|!(?==)|(?<![\w\s])!(?=[\w(])|(?<=\s)!(?=[\w(])|(?<=\s)\.(?=\s)|(?<=\b\w)(?:!|['’]+(?!\w))"
    r"|[^\w\s.,;:?!\"'“”‘’]"
)
"""Words, numbers and every sign but the marks of prose: a factorial, a negation, a prime and a ratio are signs."""


def normalised(question: str) -> str:
    """Return a question's words in lower case, for comparing."""
    return " ".join(_WORD.findall(question.lower().replace("\N{MINUS SIGN}", "-")))


def question_key(question: str) -> str:
    """Return the hash by which a repeated question is known.

    Case, spacing and the marks of prose do not matter; a sign that may be an operator, a unit or part of a name does.
    """
    return digest(_asked(question))


def tried_before(question: str, earlier: Iterable[str]) -> bool:
    """Whether a question is one of the earlier ones, by the same measure as `question_key`."""
    return _asked(question) in {_asked(other) for other in earlier}


def _asked(question: str) -> str:
    """Return a question's words and signs in order. Single letters, symbols as Δx, and words in mixed case keep it."""
    tokens = _TOKEN.findall(unicodedata.normalize("NFC", question).replace("\N{MINUS SIGN}", "-"))
    return " ".join(
        t.lower() if len(t) > 1 and (t.istitle() or t.isupper()) and not _is_symbol(t) else t for t in tokens
    )


def _is_symbol(token: str) -> bool:
    """Whether a word is a Greek letter before Latin ones, as Δx or ΣF."""
    return "\u0370" <= token[0] <= "\u03ff" and token[1:2].isascii()


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
