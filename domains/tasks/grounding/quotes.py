"""Whether a document holds what is quoted from it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

MAX_QUOTES = 5
MAX_LOOKED_FOR = 250
QUOTE_CHARS = 160
"""What is kept of the quotes that a document lacks: MAX_QUOTES, each cut to QUOTE_CHARS characters.

Of different quotes at most MAX_LOOKED_FOR are looked for, each in the whole document.
"""

_QUOTED = re.compile(
    r"\u201c([^\u201c\u201d]{1,2000})\u201d|\u00ab([^\u00ab\u00bb]{1,2000})\u00bb|(?<![\w\"])\"(?=\S)([^\"]{1,2000})(?<=\S)\"(?!\w)"
)
_LEFT_OUT = re.compile(r"\[?(?:\u2026|\.\.\.)\]?")
_LETTERS = re.compile(r"[^\W_]+")


def quotes_missing(parts: Mapping[str, str], document: str) -> list[dict[str, str]]:
    """Return the quoted words, two or more in a row, that a document does not hold, and the part each stands in.

    White space, case, punctuation and quotation marks do not matter; what is left out of a quote by three dots may be
    anything. At most MAX_QUOTES are returned, cut to QUOTE_CHARS characters, of the first MAX_LOOKED_FOR that differ.
    """
    held, seen, looked_for = "", set[str](), 0
    found: list[dict[str, str]] = []
    for where, text in parts.items():
        for match in _QUOTED.finditer(text):
            quote = next(group for group in match.groups() if group is not None)
            pieces = [piece for piece in map(_bare, _LEFT_OUT.split(quote)) if piece]
            if sum(len(piece.split()) for piece in pieces) < 2:
                continue
            if seen.issuperset(pieces):
                continue
            if looked_for == MAX_LOOKED_FOR:
                return found
            looked_for += 1
            held = held or f" {_bare(document)} "
            if all(f" {piece} " in held for piece in pieces):
                seen.update(pieces)  # looked for once, however often it is quoted
            else:
                found.append({"where": where, "quote": " ".join(quote.split())[:QUOTE_CHARS]})
                if len(found) == MAX_QUOTES:
                    return found
    return found


def _bare(text: str) -> str:
    """Return a text's words alone, in lower case. Letters that brackets changed belong to their word."""
    plain = unicodedata.normalize("NFKC", text).lower()
    return " ".join(_LETTERS.findall(re.sub(r"['\u2018\u2019\[\]]", "", plain)))
