"""Merging: the edits of two packs in one, where they touch other lines."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from autodata.checkpoints.errors import UserError
from autodata.nodes.optimizer.estimate import Evidence
from autodata.prompts import PromptPack
from autodata.prompts.pack import lines_of, parse_prompt


def merged(base: PromptPack, one: PromptPack, other: PromptPack) -> PromptPack | None:
    """Return `one` with what `other` changed of `base`; None where both touched the same lines, or nothing is new.

    What both inserted in one place stands there one behind the other. A line that both inserted stands there once.
    """
    prompts = dict(one.prompts)
    for role, before in base.prompts.items():
        texts = (lines_of(pack[role].text) for pack in (base, one, other))
        lines = _merged(*texts)
        if lines is None:
            return None
        try:
            prompts[role] = parse_prompt(role, "".join(lines), f"{role}.md")
        except UserError:
            return None
        if prompts[role].front != before.front:
            return None
    found = PromptPack(one.name, prompts)
    return None if found.version in {one.version, other.version} else found


def _merged(base: Sequence[str], one: Sequence[str], other: Sequence[str]) -> list[str] | None:
    ours, theirs = _changes(base, one), _changes(base, other)
    for start, end, lines in theirs:
        for first, last, own in ours:
            if start < last and first < end and (start, end, lines) != (first, last, own):
                return None
    known = {line for *_, lines in ours for line in lines}
    added = [(start, end, 1, lines) for start, end, lines in theirs if (start, end, lines) not in ours]
    found: list[str] = []
    at = 0
    for start, end, its, lines in sorted([*((start, end, 0, lines) for start, end, lines in ours), *added]):
        found += base[at:start]
        found += [line for line in lines if not (its and start == end and line in known)]
        at = end
    return [*found, *base[at:]]


def _changes(base: Sequence[str], after: Sequence[str]) -> list[tuple[int, int, list[str]]]:
    """Return what was put in place of which lines of `base`, in order."""
    opcodes = difflib.SequenceMatcher(None, base, after, autojunk=False).get_opcodes()
    return [(i1, i2, list(after[j1:j2])) for tag, i1, i2, j1, j2 in opcodes if tag != "equal"]


def common_base(evidence: Sequence[Evidence], one: str, other: str) -> str | None:
    """Return the youngest common ancestor of two packs; None where one descends from the other."""
    known = {found.pack: found for found in evidence}
    mine, its = (_ancestors(known, pack) for pack in (one, other))
    if one in its or other in mine:
        return None
    shared = [known[pack] for pack in mine & its]
    return max(shared, key=lambda found: found.iteration).pack if shared else None


def _ancestors(known: Mapping[str, Evidence], pack: str) -> set[str]:
    """Return a pack with all that it descends from."""
    found: set[str] = set()
    left = [pack]
    while left:
        name = left.pop()
        if name in known and name not in found:
            found.add(name)
            left += known[name].parents
    return found
