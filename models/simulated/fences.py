"""The fenced parts of a prompt, as the simulated model reads them. One pass, whatever stands within the fences."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator
from typing import NamedTuple

from autodata.prompts import fence

_OPEN = re.compile(r"<([a-z][a-z0-9-]*+)(?<=-[0-9a-f]{12})>\n")
_CLOSE = re.compile(r"</([a-z][a-z0-9-]*+)(?<=-[0-9a-f]{12})>")
_TAG_CHARS = len("-0123456789ab")


class Fenced(NamedTuple):
    """A fenced part: its label, its text, and where the whole begins and ends."""

    label: str
    text: str
    start: int
    end: int


def fenced(prompt: str, labels: Collection[str] | None = None) -> Iterator[Fenced]:
    """Yield the outermost fenced parts of a prompt, in order; with `labels`, those of these labels alone.

    A fence that is never closed is none.
    """
    closing: dict[str, list[int]] = {}
    for match in _CLOSE.finditer(prompt):
        closing.setdefault(match[1], []).append(match.start())
    end = 0
    for match in _OPEN.finditer(prompt):
        name = match[1]
        label = name[:-_TAG_CHARS]
        if match.start() < end or (labels is not None and label not in labels):
            continue
        places = closing.get(name, [])
        at = bisect_left(places, match.end())
        if at < len(places):
            end = places[at] + len(name) + 3
            yield Fenced(label, prompt[match.end() : places[at]].removesuffix("\n"), match.start(), end)


def named_by_text(prompt: str, label: str) -> str:
    """Return a prompt whose fences of a label carry the hash of their text alone.

    What a fence is called says nothing, so a reply of the world does not depend on it.
    """
    if f"<{label}-" not in prompt:
        return prompt
    kept, at = [], 0
    for part in fenced(prompt, {label}):
        kept += [prompt[at : part.start], fence(label, part.text)]
        at = part.end
    return "".join([*kept, prompt[at:]])


def without_fenced(prompt: str) -> str:
    """Return a prompt without its fenced parts."""
    kept, at = [], 0
    for part in fenced(prompt):
        kept.append(prompt[at : part.start])
        at = part.end
    return "".join([*kept, prompt[at:]])
