"""Fences: text from outside stands in a prompt as marked data, never as instruction (law 7)."""

from __future__ import annotations

from autodata.checkpoints.ids import digest


def fence(label: str, text: str, *place: object) -> str:
    """Return a text between tags it cannot close: the tag carries 48 bits of the hash of the text itself.

    `place` goes into the hash too, as plain values. What stands in no document and depends on other models, such as the
    id of a candidate, makes the tag one that nobody can work out beforehand, also for a text they have planted.

    >>> fence("answer", "42").splitlines()[1]
    '42'
    """
    tag = f"{label}-{digest([text, *place] if place else text, 12)}"
    return f"<{tag}>\n{text}\n</{tag}>"
