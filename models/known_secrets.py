"""The keys that this process sends with its requests, so that what a server says back is kept without them."""

from __future__ import annotations

HIDDEN = "[redacted]"
"""What stands in a text where a key stood."""
_LEAST = 6
"""Characters of the shortest value that is taken for a key: a placeholder such as `none` is none."""
_known: set[str] = set()


def remember_secret(value: str) -> None:
    """Know a value that goes out as a key, or within a header."""
    if len(value) >= _LEAST:
        _known.add(value)


def without_secrets(text: str) -> str:
    """Return a text without the known keys: servers repeat them in their refusals, and refusals are kept and shown."""
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return text
