"""What a text gives as its answer: behind `Answer:`, in a box, or all of one line."""

from __future__ import annotations

import re

from autodata.domains.tasks import maths

_MARK = re.compile(r"(?P<before>[\s>*_#]*+)(?:final )?answer\s*+[*_]*+\s*+[:=]", re.IGNORECASE)
LONGEST = 4000
"""Characters behind its mark in which an answer is looked for."""
_STOP = ("", ".", ",")


def final_answer(text: str) -> str | None:
    """Return what an attempt gives as its answer: its last line `Answer: ...`, its last box, or all of one line."""
    if (marked := marked_answer(text)) is not None:
        return marked
    return maths.unwrapped(text) if "\n" not in text.strip() else None


def marked_answer(text: str) -> str | None:
    """Return what an attempt says is its answer: its last line `Answer: ...`, or its last box."""
    end = len(text)
    while end >= 0:
        start = text.rfind("\n", 0, end) + 1
        mark = _MARK.match(text, start, end)
        if mark and (found := _after(text, mark.end(), mark["before"].endswith("*"))):
            return found
        end = start - 1
    if r"\boxed" in text and (found_boxes := maths.boxes(text)):
        _, begin, last = found_boxes[-1]
        return text[begin:last].strip()
    return None


def says_answer(text: str) -> bool:
    """Whether a line of a text begins with `Answer:`."""
    return any(_MARK.match(line) for line in text.split("\n"))


def _after(text: str, at: int, marked: bool) -> str:
    """Return the answer that begins behind its mark: one line, or a formula set off from the text."""
    rest = text[at : at + LONGEST].lstrip()
    for left, right in (("$$", "$$"), (r"\[", r"\]")):
        if (
            rest.startswith(left)
            and (end := rest.find(right, 2)) > 0
            and rest[end + 2 :].partition("\n")[0].strip() in _STOP
        ):
            return maths.unwrapped(" ".join(rest[2:end].split()))
    line = rest.partition("\n")[0].strip()
    if marked and line.endswith("*") and not line.endswith("**"):
        line = line[:-1]  # the line is in italics as a whole
    return maths.unwrapped(line)
