"""When two questions ask the same: what is counted, exported and refused as tried before follows from it."""

from __future__ import annotations

import re
import unicodedata

from autodata.checkpoints.ids import digest

_TOKEN = re.compile(
    r"\w+(?:[.,]\w+)*|(?<!\w)[.,](?=\w)|(?<!\w):|:(?=\S)|(?<=[\d)\]}])!|!(?==)|(?<![\w\s])!(?=[\w(])|(?<=\s)!(?=[\w(])|(?<=\s)\.(?=\s)|(?<=\b\w)(?:!|['’]+(?!\w))"
    r"|[^\w\s.,;:?!\"'“”‘’]"
)
"""Words, numbers and every sign but the marks of prose: a factorial, a negation, a prime and a ratio are signs."""


def question_key(question: str) -> str:
    """Return the hash by which a repeated question is known.

    Case, spacing and the marks of prose do not matter; a sign that may be an operator, a unit or part of a name does.
    """
    return digest(asked(question))


def asked_key(question: str, context: str = "") -> str:
    """Return the hash by which a repeated example is known: what it asks, over which context; white space is no matter.

    One measure for the target of a run and for what an export leaves out.
    """
    return digest([question_key(question), " ".join(context.split())])


def asked(question: str) -> str:
    """Return a question's words and signs in order. Single letters, symbols as Δx, and words in mixed case keep it."""
    tokens = _TOKEN.findall(unicodedata.normalize("NFC", question).replace("\N{MINUS SIGN}", "-"))
    return " ".join(
        t.lower() if len(t) > 1 and (t.istitle() or t.isupper()) and not _is_symbol(t) else t for t in tokens
    )


def _is_symbol(token: str) -> bool:
    """Whether a word is a Greek letter before Latin ones, as Δx or ΣF."""
    return "\u0370" <= token[0] <= "\u03ff" and token[1:2].isascii()
