"""What an answer is wrapped in: dollar signs, a box, bold marks, a final full stop."""

from __future__ import annotations

import re

_BRACE = re.compile(r"\\boxed\s*+\{|\\.|[{}]", re.DOTALL)


def unwrapped(text: str) -> str:
    """Return an answer without its wrapping: dollar signs, a box, bold marks, a final full stop."""
    text = _without_marks(text.strip())
    if text.endswith((".", ",")) and not text.endswith(".."):
        text = _without_marks(text[:-1].rstrip())
    for left, right in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("`", "`")):
        inner = text[len(left) : -len(right)]
        if text.startswith(left) and text.endswith(right) and inner and left not in inner and right not in inner:
            text = inner.strip()
    if text.startswith(r"\boxed") and (found := boxes(text)) and found[0][::2] == (0, len(text) - 1):
        return text[found[0][1] : found[0][2]].strip()
    return text


def _without_marks(text: str) -> str:
    """Take off pairs of bold and italic marks: a star on one side alone is a sign of the text."""
    for mark in ("**", "__", "*", "_"):
        inner = text[len(mark) : -len(mark)]
        if text.startswith(mark) and text.endswith(mark) and inner and mark not in inner:
            return inner.strip()
    return text[2:].strip() if text.startswith("**") and text.count("**") == 1 else text.removesuffix("**").strip()


def boxes(text: str) -> list[tuple[int, int, int]]:
    r"""Return each `\boxed{...}`, in order: where it begins, where its content begins, where that ends."""
    opened: list[tuple[int, int] | None] = []
    found: list[tuple[int, int, int]] = []
    for sign in _BRACE.finditer(text):
        if sign[0].startswith(r"\boxed"):
            opened.append(sign.span())
        elif sign[0] == "{":
            opened.append(None)
        elif sign[0] == "}" and opened and (begun := opened.pop()):
            found.append((*begun, sign.start()))
    return sorted(found)
