"""Texts of strangers made safe for a terminal of any encoding. Loaded by every command, so it imports little."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return a text without characters that could command the terminal or turn its lines; newlines and tabs stay."""
    return _CONTROLS.sub("\ufffd", text.replace("\r\n", "\n"))


def take_any_text() -> None:
    """Let standard output and error be UTF-8 whatever the locale, and never fail for want of a character.

    `PYTHONIOENCODING` keeps the encoding that it names; what that lacks is replaced.
    """
    named = os.environ.get("PYTHONIOENCODING", "").partition(":")[0]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            if not named and codecs.lookup(stream.encoding).name != "utf-8":
                stream.reconfigure(encoding="utf-8")
            if stream.errors == "strict":
                stream.reconfigure(errors="replace")
