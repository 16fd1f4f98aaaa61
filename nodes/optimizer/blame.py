"""Provenance: which iteration wrote each line of a pack's prompts, and the score that it brought."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autodata.prompts import PromptPack


@dataclass(frozen=True)
class Version:
    """One pack of a lineage. The baseline is iteration 0."""

    iteration: int
    score: float | None
    """Its mean validation score, in 0..1; None when it was never validated."""
    pack: PromptPack


@dataclass(frozen=True)
class BlamedLine:
    """One line of a prompt file, from the head on, without its line feed."""

    number: int
    """Counted from 1."""
    text: str
    iteration: int
    """The iteration that wrote the line as it stands."""
    score: float | None
    """The score of that iteration's pack."""
    gain: float | None
    """By how much that score is above its parent's; None for the baseline and where a score is missing."""


def blame(lineage: Sequence[Version]) -> Mapping[str, list[BlamedLine]]:
    """Return for each role the lines of the last pack with where they come from.

    `lineage` leads from the baseline to the pack in question, each a child of the one before. A line that was moved
    counts as written anew; one that was removed and later put back, too. Raises ValueError for an empty lineage.
    """
    if not lineage:
        raise ValueError("a lineage has at least the baseline")
    return {role: _lines(role, lineage) for role in lineage[-1].pack.prompts}


def _lines(role: str, lineage: Sequence[Version]) -> list[BlamedLine]:
    texts: list[str] = []
    origins: list[int] = []
    for at, version in enumerate(lineage):
        prompt = version.pack.prompts.get(role)
        now = _split(prompt.text) if prompt else []
        kept = [at] * len(now)
        for start, then, length in difflib.SequenceMatcher(None, texts, now, autojunk=False).get_matching_blocks():
            kept[then : then + length] = origins[start : start + length]
        texts, origins = now, kept
    return [
        BlamedLine(number, text, lineage[at].iteration, lineage[at].score, _gain(lineage, at))
        for number, (text, at) in enumerate(zip(texts, origins, strict=True), 1)
    ]


def _split(text: str) -> list[str]:
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def _gain(lineage: Sequence[Version], at: int) -> float | None:
    after, before = lineage[at].score, lineage[at - 1].score if at else None
    return None if after is None or before is None else after - before
