"""Texts as people and programs take them: previews, JSON that no terminal acts on, texts that show nothing."""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache
from itertools import takewhile
from typing import Final

PREVIEW_CHARS = 300
"""Documents and raw answers appear in graph state only as this many leading characters and a reference."""

_INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0\ufffd")
"""Letters and symbols by their category that show nothing, and the sign for what could not be read."""


def is_blank(text: str) -> bool:
    """Return whether a text shows nothing: spaces, control, format and zero-width characters, marks on no letter."""
    return not text.strip() or not any(
        unicodedata.category(char)[0] in "LNPS" and char not in _INVISIBLE for char in text
    )


_UNSAFE = re.compile(r"[\x7f-\x9f\u061c\u2028-\u202e\u2066-\u2069]")


def json_text(value: object, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """Return a value as JSON that any terminal and any splitter of lines takes: what they could act on is escaped.

    Without `indent` it is one line, whatever counts as the end of a line. Raises ValueError for NaN and infinity.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only, allow_nan=False)
    # Outside of strings JSON has none of these, and inside an escape means the same.
    return _UNSAFE.sub(lambda match: _escape(match[0]), text)


@cache
def _escape(sign: str) -> str:
    return f"\\u{ord(sign):04x}"


def preview(text: str) -> str:
    """Return the first 300 characters of a text, marked when cut."""
    return text if len(text) <= PREVIEW_CHARS else text[: PREVIEW_CHARS - 1] + "…"


_SENTENCE_END: Final = re.compile(r"[.!?\u2026][\"'\u201d\u2019)\]]*(?=\s)|[\u3002\uff01\uff1f]")
_LAST_WORD: Final = re.compile(r"\s\S*\Z")


def cut_position(text: str, max_chars: int) -> int:
    """Return where to cut a text that is longer than `max_chars`."""
    paragraph = text.rfind("\n\n", 0, max_chars + len("\n\n"))
    if paragraph >= max_chars / 2:
        return paragraph
    ends = [match.end() for match in takewhile(lambda m: m.end() <= max_chars, _SENTENCE_END.finditer(text))]
    if ends and ends[-1] >= max_chars / 2:
        return ends[-1]
    word = _LAST_WORD.search(text[: max_chars + 1])
    return word.start() if word and word.start() >= max_chars / 2 else max_chars
