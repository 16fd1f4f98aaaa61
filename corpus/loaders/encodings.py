"""Bytes as text: marks of byte order first, then UTF-8, then what was named, then a guess where there is little doubt.

A wrong guess spoils words without anybody seeing it, so a file with too little to guess from is refused, and how to
name its encoding is said.
"""

from __future__ import annotations

import codecs
import importlib.util
import re
from typing import Final

LEAST_SIGNS: Final = 8
"""Bytes outside of ASCII that a guess is founded on at least; fewer fit many encodings equally well."""
LOOKED_AT: Final = 200_000
"""Bytes that are looked at to guess."""

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OUTSIDE_ASCII: Final = re.compile(rb"[\x80-\xff]")
_NAME_IT: Final = "save it as UTF-8, or name its encoding in documents.encoding"


class CannotDecode(Exception):
    """Bytes that are no text, or in an encoding that is not known, in one line."""


def wide_mark(start: bytes) -> str:
    """Return the encoding of two or four bytes a sign that the first bytes of a file state, empty for none."""
    return next((encoding for mark, encoding in _MARKS if start.startswith(mark)), "")


def decoded(data: bytes, encoding: str = "", *, guess: bool = True) -> tuple[str, str]:
    """Return bytes as text, and a note when their encoding was guessed.

    `encoding` is what to try where they are no Unicode. Raises CannotDecode.
    """
    try:
        if wide := wide_mark(data):
            if wide == "utf-32" and not guess:
                wide = "utf-16"
            return data.decode(wide), ""
        if b"\0" in data:
            if guess and (wide := _wide_without_mark(data)):
                return data.decode(wide), f"read as {wide.upper()}, which it does not state"
            raise CannotDecode("binary: it holds NUL characters")
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        where = f"not valid {error.encoding.upper()} (at byte {error.start:,})"
        if wide or (not guess and not encoding):
            raise CannotDecode(f"{where}: save it as UTF-8") from error
        return _otherwise(data, encoding, where)


def _otherwise(data: bytes, encoding: str, where: str) -> tuple[str, str]:
    """Read bytes that are no Unicode: as the encoding that was named, or as one that is guessed."""
    if encoding:
        try:
            return data.decode(encoding), ""
        except UnicodeDecodeError as error:
            what = f"not valid {encoding} (at byte {error.start:,}), which documents.encoding names"
            raise CannotDecode(what) from error
    found = guessed(data)
    if not found:
        raise CannotDecode(f"{where}: {_NAME_IT}")
    try:
        return data.decode(found), f"read as {found}, which was guessed"
    except UnicodeDecodeError as error:
        raise CannotDecode(f"{where}: {_NAME_IT}") from error


def guessed(data: bytes) -> str:
    """Return the encoding of bytes that are no Unicode; empty where there is too little to guess from, or in doubt.

    A text that is UTF-8 for the most part is damaged UTF-8, whatever else could be made of it.
    """
    if importlib.util.find_spec("charset_normalizer") is None:
        return ""
    import charset_normalizer  # noqa: PLC0415 - an optional extra

    data = data[:LOOKED_AT]
    signs = len(_OUTSIDE_ASCII.findall(data))
    mended = data.decode("utf-8", "replace")
    lost = mended.count("\ufffd")
    if signs < LEAST_SIGNS or sum(char > "\x7f" for char in mended) - lost > lost:
        return ""
    best = charset_normalizer.from_bytes(data).best()
    if best is None or best.encoding.startswith("utf"):
        return ""
    # Of encodings that give the same text the best known is named.
    return next((name for name in ("cp1252", "latin_1") if name in best.could_be_from_charset), str(best.encoding))


def _wide_without_mark(data: bytes) -> str:
    """Return UTF-16 of one byte order for what has a NUL in nearly every other place and never elsewhere."""
    if len(data) % 2:
        return ""
    even, odd = data[::2], data[1::2]
    for high, low, name in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if b"\0" not in low and high.count(0) >= max(4, 0.4 * len(high)):
            return name
    return ""
