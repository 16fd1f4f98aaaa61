"""Texts as a reader takes them: letters that look alike made one, and what was encoded or hidden laid open."""

from __future__ import annotations

import base64
import html
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from typing import Final
from urllib.parse import unquote

_LOOKALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0445\u0443\u0456\u0458\u0455\u0501\u04bb\u051b\u051d"
    "\u03bf\u03b1\u03bd\u03b9\u03ba\u03c1\u03c5\u03c7\u0131\u0261\u0142\u00f8\u0111\u0127",
    "aeopcxyijsdhqwoavikpuxiglodh",
)
"""Cyrillic and Greek letters, and some more, that a reader takes for Latin ones; strokes through letters go."""


def folded(text: str) -> str:
    """Return a text in lower case, compatible forms and letters that look alike made one, accents dropped."""
    plain = unicodedata.normalize("NFKD", text).casefold().translate(_LOOKALIKES)
    marks = [ord(sign) for sign in set(plain) if unicodedata.category(sign) in {"Mn", "Cf"}]
    return plain.translate(dict.fromkeys(marks)) if marks else plain


_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}+={0,2}")
_HEX: Final = re.compile(r"(?<![0-9A-Fa-f])(?:(?:0x|\\x|%)?[0-9A-Fa-f]{2}[ ,:]?){12,}+")
_PREFIX: Final = re.compile(r"0x|\\x|[%,: ]")
_ESCAPE: Final = re.compile(r"\\u([0-9A-Fa-f]{4})|\\u\{([0-9A-Fa-f]{1,6})\}|\\x([0-9A-Fa-f]{2})")
_SPACED: Final = re.compile(r"(?<!\w)\w(?:[ .\-_*·|]{1,3}\w(?!\w)){5,}+")
_BETWEEN: Final = re.compile(r"[ .\-_*·|]")
_URL_SAFE: Final = str.maketrans("-_", "+/")
_TAGS: Final = re.compile(r"<[^<>\n]{0,80}>")
_HIDDEN: Final = re.compile("[\U000e0020-\U000e007e]")
_SPLIT: Final = re.compile(r"-\n[ \t]*|[*`~\\\u00b7]|(?<=\w)_(?=\w)")
_DIGITS: Final = str.maketrans("013457@$!|", "oieastasil")
_DIGITS_OF_L: Final = str.maketrans("013457@$!|", "oleastasil")
_TURNED: Final = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "NOPQRSTUVWXYZABCDEFGHIJKLMnopqrstuvwxyzabcdefghijklm"
)
_DEPTH: Final = 2
"""How often what was decoded is decoded again."""


def readings(text: str) -> list[str]:
    """Return a text, folded and on one line, as it may be read: as it stands first, then what is encoded in it.

    Read are base64, hex, percent signs, HTML entities and tags, escapes of code, rot13, letters set apart, digits for
    letters, the text backwards, and letters that are not shown (tags of Unicode). Each reading stands once.
    """
    shown = _HIDDEN.sub(lambda match: chr(ord(match[0]) - 0xE0000), text)
    found = dict.fromkeys(_on_one_line(reading) for reading in (text, *_forms(shown, _DEPTH)))
    return [reading for reading in found if reading]


def _on_one_line(text: str) -> str:
    return " ".join(folded(text).split())


def _forms(text: str, depth: int) -> Iterator[str]:
    yield text
    plain = _ESCAPE.sub(_unescaped, html.unescape(unquote(text) if "%" in text else text))
    plain = _SPLIT.sub("", _TAGS.sub("", plain))
    yield plain
    bare = unicodedata.normalize("NFKD", plain)
    yield bare.translate(_TURNED)
    yield bare[::-1]
    yield from (bare.translate(table) for table in (_DIGITS, _DIGITS_OF_L))
    yield " ".join(_BETWEEN.sub("", match[0]) for match in _SPACED.finditer(bare))
    if depth:
        for piece in _decoded(text):
            yield from _forms(piece, depth - 1)


def _unescaped(match: re.Match[str]) -> str:
    number = int(match[1] or match[2] or match[3], 16)
    return chr(number) if number < 0x110000 else match[0]


def _decoded(text: str) -> Iterator[str]:
    """Yield what base64 and hex of a text hold where it is text."""
    for match in _BASE64.finditer(text):
        word = match[0].rstrip("=").translate(_URL_SAFE)
        with suppress(ValueError):
            yield from _readable(base64.b64decode(word + "=" * (-len(word) % 4)))
    for match in _HEX.finditer(text):
        with suppress(ValueError):
            yield from _readable(bytes.fromhex(_PREFIX.sub("", match[0])))


def _readable(data: bytes) -> Iterator[str]:
    text = data.decode("utf-8")
    if all(sign.isprintable() or sign in "\n\r\t" for sign in text):
        yield text
