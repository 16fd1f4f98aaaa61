"""Keys and whatever else the configuration names, blacked out before anything leaves the machine."""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

REDACTED = "[redacted]"

_NAMED_LIKE_A_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|BEARER|OTLP_(?:\w+_)?HEADERS", re.IGNORECASE)
_LEAST_GUESSED, _LEAST_NAMED = 12, 6
"""Shortest value of a variable that counts as a key: of one that only has such a name, and of one that is said to."""

_SHAPES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("sk-",), r"\bsk-[\w-]{16,}"),
    (("lsv2_",), r"\blsv2_(?:pt|sk)_\w{16,}"),
    (("hf_",), r"\bhf_[A-Za-z0-9]{20,}"),
    (("gho_", "ghp_", "ghr_", "ghs_", "ghu_"), r"\bgh[pousr]_[A-Za-z0-9]{20,}"),
    (("github_pat_",), r"\bgithub_pat_\w{20,}"),
    (("xox",), r"\bxox[abeoprs]-[\w-]{10,}"),
    (("AIza",), r"\bAIza[\w-]{30,}"),
    (("AKIA", "ASIA"), r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    (("earer", "EARER"), r"(?i:\bbearer\s+)[\w.~+/=-]{12,}"),
    (("://",), r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
)
"""What keys look like: model providers', code hosts', clouds', tokens, and credentials in an address. Each with what a
text must hold to have one, for to look for that costs next to nothing."""

_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_KEY_ENDS = re.compile(r"-----END [A-Z ]*PRIVATE KEY-----")
_TOKEN_SEGMENTS = re.compile(r"(?<![\w-])[\w-]++(?:\.[\w-]++)++")
_TOKEN_BEGINS = re.compile(r"\beyJ(?=[\w-]{8})")


class Redactor:
    """Replaces keys and the configured patterns by `[redacted]`, in texts and in anything that holds texts."""

    def __init__(self, patterns: Iterable[str] = (), key_variables: Iterable[str] = ()) -> None:
        """Know the patterns, and the values that the environment's variables of keys have now."""
        self._values = sorted(_secrets({*key_variables}), key=len, reverse=True)
        self._shapes = [(hints, re.compile(pattern)) for hints, pattern in _SHAPES]
        self._own = [re.compile(pattern) for pattern in patterns]

    def text(self, text: str) -> str:
        """Return a text without them."""
        for value in self._values:
            text = text.replace(value, REDACTED)
        for hints, shape in self._shapes:
            if any(hint in text for hint in hints):
                text = shape.sub(REDACTED, text)
        if "eyJ" in text:
            text = _TOKEN_SEGMENTS.sub(lambda match: _without_tokens(match[0]), text)
        if "PRIVATE KEY" in text:
            text = _without_private_keys(text)
        for pattern in self._own:
            text = pattern.sub(REDACTED, text)
        return text

    def clean(self, value: Any) -> Any:
        """Return plain JSON values with every text cleaned, names included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.clean(item) for name, item in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, bytes):
            return [self.clean(item) for item in value]
        return value


def _without_tokens(run: str) -> str:
    """Return words joined by dots without the tokens among them: `eyJ...`, `.eyJ...` and a signature."""
    parts, kept, at = run.split("."), [], 0
    while at < len(parts):
        begins = _TOKEN_BEGINS.search(parts[at]) if len(parts[at + 1 : at + 3]) == 2 else None
        head, tail = (parts[at + 1], parts[at + 2]) if begins else ("", "")
        if begins and head.startswith("eyJ") and len(head) >= 11 and len(tail) >= 8:
            kept.append(parts[at][: begins.start()] + REDACTED)
            at += 3
        else:
            kept.append(parts[at])
            at += 1
    return ".".join(kept)


def _without_private_keys(text: str) -> str:
    """Return a text without private keys, each from its first line to its last."""
    ends = [match.span() for match in _KEY_ENDS.finditer(text)]
    kept, at = [], 0
    for begins in _KEY_BEGINS.finditer(text):
        last = bisect_left(ends, (begins.end(), 0))
        if begins.start() >= at and last < len(ends):
            kept += [text[at : begins.start()], REDACTED]
            at = ends[last][1]
    return "".join([*kept, text[at:]])


def _secrets(key_variables: set[str]) -> set[str]:
    """Return the values of variables that hold keys, or are named as if they did."""
    found: set[str] = set()
    for name, value in os.environ.items():
        if name in key_variables:
            found |= {value.strip()} if len(value.strip()) >= _LEAST_NAMED else set()
        elif _NAMED_LIKE_A_SECRET.search(name) and not value.startswith(("/", ".")):  # a path is the place of a key
            parts = re.split(r"[,=]", value) if name.endswith("HEADERS") else [value]
            found |= {part for part in map(str.strip, parts) if len(part) >= _LEAST_GUESSED}
    return found
