"""Fences: text from outside stands in a prompt as marked data, never as instruction (law 7)."""

from __future__ import annotations

from autodata.checkpoints.ids import digest


def fence(label: str, text: str) -> str:
    """Return a text between tags it cannot close: the tag carries 48 bits of the hash of the text itself.

    >>> fence("answer", "42").splitlines()[1]
    '42'
    """
    tag = f"{label}-{digest(text, 12)}"
    return f"<{tag}>\n{text}\n</{tag}>"
