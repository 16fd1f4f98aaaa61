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
    parents: tuple[str, ...] | None = None
    """Versions of the packs that it was made from: one edited, or two merged. None: the one before it."""


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

    `lineage` leads from the baseline to the pack in question, parents before children. A line that was moved counts as
    written anew; one that was removed and later put back, too. A line of a merged pack is the work of whoever wrote it
    in the one or the other, and keeps that score. Raises ValueError for an empty lineage.
    """
    if not lineage:
        raise ValueError("a lineage has at least the baseline")
    return {role: _lines(role, lineage) for role in lineage[-1].pack.prompts}


def _lines(role: str, lineage: Sequence[Version]) -> list[BlamedLine]:
    known: dict[str, tuple[list[str], list[int]]] = {}
    for at, version in enumerate(lineage):
        prompt = version.pack.prompts.get(role)
        now = _split(prompt.text) if prompt else []
        kept = [at] * len(now)
        for parent in reversed(_parents(lineage, at)):  # the first one has the last word
            texts, origins = known[parent]
            for start, then, length in difflib.SequenceMatcher(None, texts, now, autojunk=False).get_matching_blocks():
                kept[then : then + length] = origins[start : start + length]
        known[version.pack.version] = now, kept
    return [
        BlamedLine(number, text, lineage[at].iteration, lineage[at].score, _gain(lineage, at))
        for number, (text, at) in enumerate(zip(*known[lineage[-1].pack.version], strict=True), 1)
    ]


def _parents(lineage: Sequence[Version], at: int) -> tuple[str, ...]:
    given = lineage[at].parents
    if given is None:
        return (lineage[at - 1].pack.version,) if at else ()
    return given


def _split(text: str) -> list[str]:
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def _gain(lineage: Sequence[Version], at: int) -> float | None:
    parents = _parents(lineage, at)
    score_of = {version.pack.version: version.score for version in lineage}
    after, before = lineage[at].score, score_of[parents[0]] if parents else None
    return None if after is None or before is None else after - before
