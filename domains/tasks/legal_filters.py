"""Post filters: layer 1 of the legal loop. Code alone sends a question back (paper, section 4).

Each rule is one entry of `POST_FILTERS`, under its own name. Phrases are looked for as whole words, in any case and
with any white space between them, so that "contract as written" holds no "act as".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

MAX_QUESTION_CHARS = 1000

_OLD_YEAR = re.compile(r"(?<![\w$€£])(?<!\d[.,])(?:18\d\d|19[0-3]\d)(?:'?s)?(?!\w|[.,]\d)")


def _too_long(question: str) -> str:
    """Find more than 1,000 characters."""
    chars = len(question)
    return f"{chars:,} characters, at most {MAX_QUESTION_CHARS:,} are allowed" if chars > MAX_QUESTION_CHARS else ""


def _old_year(question: str) -> str:
    """Find a year 18xx or 1900 to 1939, a decade such as "1920s" too; an amount or a longer number is no year."""
    match = _OLD_YEAR.search(question)
    return f"it names the year {match[0]}" if match else ""


def _phrase(words: str) -> Callable[[str], str]:
    """Return a rule that finds these words."""
    spaced = r"\s+".join(map(re.escape, words.split()))
    pattern = re.compile(rf"\b{spaced}(?!\w|-\w)", re.IGNORECASE)
    return lambda question: f"it says {' '.join(match[0].split())!r}" if (match := pattern.search(question)) else ""


PHRASES = (
    "court of appeals",
    "supreme court of",
    "in the case of",
    "in re",
    "you are an",
    "act as",
    "as a law clerk",
    "draft the arguments",
    "draft the brief",
    "the trial court held",
    "on appeal",
)
"""What only somebody says who retells the case or gives a role to play, never a client."""

POST_FILTERS: Mapping[str, Callable[[str], str]] = {
    "over_1000_characters": _too_long,
    **{phrase.replace(" ", "_"): _phrase(phrase) for phrase in PHRASES},
    "old_year": _old_year,
}
"""Each rule's name and the function that says what it found in a question; nothing, when the rule holds."""


def flags(question: str) -> dict[str, str]:
    """Return the rules that a question breaks, each with what was found, in the order of the table."""
    return {name: found for name, rule in POST_FILTERS.items() if (found := rule(question))}
