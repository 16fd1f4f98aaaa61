"""The optimiser's roles of the simulated model: an analyst and an editor. Neither understands a word.

The analyst counts the failure modes named in its material and says so, citing labels that stand there. The editor adds
a sentence or two that it knows (models/simulated/rules.py), removes one, or says one in other words; it does not know
which of them help. Its tastes are constants, set before there was an optimiser.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autodata.models.config import Settings
from autodata.models.simulated.fences import fenced, without_fenced
from autodata.models.simulated.rules import META_RULES, NEUTRAL, Rule

MODES = (
    *("malformed_candidate", "duplicate_question", "failed_quality_check", "too_easy", "degenerate_weak"),
    *("failed_on_strong", "saturated_strong", "gap_too_small", "final_check"),
)
"""Failure modes by the names they have in the ledger."""


class Tastes(Settings):
    """What the simulated analyst and editor tend to do."""

    misreads: float = 0.15
    """Share of the analyst's causes that name a failure mode at random."""
    forbidden: float = 0.04
    """Share of first turns that try something forbidden."""
    removes: float = 0.10
    """Share of edits that take a sentence out, where an earlier edit put one in."""
    rephrases: float = 0.15
    """Share of edits that say such a sentence in other words."""
    helpful: float = 0.35
    """Share of added sentences that are helpful rules, before the analysis is heard."""
    neutral: float = 0.35
    """Share of added sentences without any effect. The rest is harmful."""
    heeds: float = 2.0
    """By how much a helpful rule is likelier when the analysis names a failure mode that it makes rarer."""
    two: float = 0.35
    """Share of edits that add two sentences."""


TASTES = Tastes()

_SECTION, _SECTION_END = "The failed rounds:\n", "\n\nAnswer with one JSON"
_LABEL = re.compile(r"(?<![\w-])[ar]\d{1,3}(?![\w-])")
_ENUM = re.compile(r'"enum": ?(\[(?: ?"[ar]\d+",?)+\])')
_FILE_NAME = re.compile(r"([a-z_]+\.md):\n")
_NAME_CHARS = 100
_LINE = re.compile(r"^ *(\d+)\| ?(.*)$", re.MULTILINE)
_OWN_TURN = re.compile(r'"thought": ?"simulated: (\w+)')


def analysis(prompt: str, rng: random.Random, tastes: Tastes = TASTES) -> dict[str, Any]:
    """Return an analysis: one cause for each of the most frequent failure modes of the material, at most three."""
    _, begun, section = prompt.partition(_SECTION)
    section, ended, _ = section.partition(_SECTION_END)
    material = section if begun and ended else prompt
    material_alone = without_fenced(material)
    labels = _labels(prompt, material_alone, material)
    counts = Counter(
        re.findall("|".join(MODES), material_alone if any(mode in material_alone for mode in MODES) else material)
    )
    found = [mode for mode, _ in counts.most_common(3)] or ["too_easy"]
    named = [rng.choice(MODES) if rng.random() < tastes.misreads else mode for mode in found]
    causes = [
        {
            "cause": f"simulated: {counts.get(mode, 0)} times {mode}",
            "evidence": sorted(rng.sample(labels, min(len(labels), 3))),
            "advice": f"simulated: make {mode} rarer",
        }
        for mode in dict.fromkeys(named)
    ]
    return {"causes": causes, "summary": f"simulated: mostly {', '.join(dict.fromkeys(named))}"}


def _labels(prompt: str, material_alone: str, material: str) -> list[str]:
    """Return the labels that may be cited: those of the schema where it lists them, else those of the material."""
    if listed := _ENUM.search(prompt):
        return [str(label) for label in json.loads(listed[1])]
    for text in (material_alone, material, prompt):
        if found := sorted({*_LABEL.findall(text)}):
            return found
    return ["r1"]


@dataclass(frozen=True)
class _File:
    """A prompt file as the editor was shown it: number and text of each line."""

    name: str
    lines: Sequence[tuple[int, str]]

    @property
    def text(self) -> str:
        return "\n".join(line for _, line in self.lines)

    @property
    def end(self) -> int:
        """The line behind which a sentence is added: the last of the system section, or of the file."""
        users = [number for number, line in self.lines if line.strip() == "# user"]
        systems = [number for number, line in self.lines if line.strip() == "# system"]
        if users and systems and systems[0] < users[0]:
            return users[0] - 1
        return max((number for number, line in self.lines if line.strip()), default=0)


def _files(prompt: str) -> Iterator[tuple[str, str]]:
    """Yield the files of a prompt: the name stands on a line of its own before the fenced text."""
    for part in fenced(prompt, {"file"}):
        line = prompt.rfind("\n", max(0, part.start - _NAME_CHARS), max(0, part.start - 1)) + 1
        if name := _FILE_NAME.fullmatch(prompt, line, part.start):
            yield name[1], part.text


def editor_turn(prompt: str, rng: random.Random, tastes: Tastes = TASTES) -> dict[str, Any]:
    """Return a turn of the editor. After an edit that was sent back it gives up; after a forbidden one it edits."""
    files = {name: _File(name, _numbered(body)) for name, body in _files(prompt)}
    earlier = _OWN_TURN.findall(prompt)
    if not files or any(doing != "trying" for doing in earlier):
        return _turn("nothing more", [], "simulated: no change")
    if not earlier and rng.random() < tastes.forbidden:
        return _turn("trying", [_forbidden(files, rng)], "simulated: a change of what is fixed", done=False)
    present = [(file, sentence) for file in files.values() for sentence in _known(file)]
    what, named = rng.random(), _named(prompt)
    if present and what < tastes.removes:
        file, sentence = rng.choice(present)
        return _turn("removing", [_replace(file.name, f"\n{sentence}", "")], f"simulated: removes {sentence!r}")
    pool = _pool(files, named, tastes)
    if present and (what < tastes.removes + tastes.rephrases or not pool):
        file, sentence = rng.choice(present)
        other = rng.choice([phrase for phrase in _alike(file.name, sentence) if phrase not in file.text] or [sentence])
        return _turn("rephrasing", [_replace(file.name, sentence, other)], f"simulated: says {other!r} instead")
    return _adding(files, pool, rng, tastes)


_Addition = tuple[str, tuple[str, ...], float]
"""A file, the phrasings of what may be added to it, and how likely it is."""


def _adding(
    files: Mapping[str, _File], pool: Sequence[_Addition], rng: random.Random, tastes: Tastes
) -> dict[str, Any]:
    edits: list[dict[str, Any]] = []
    added: list[tuple[str, ...]] = []
    for _ in range(2 if rng.random() < tastes.two else 1):
        choices = [row for row in pool if row[1] not in added and row[0] not in {edit["file"] for edit in edits}]
        if not choices:
            break
        name, phrases, _ = rng.choices(choices, [weight for *_, weight in choices])[0]
        sentence = rng.choice(phrases)
        added.append(phrases)
        edits.append({"action": "insert", "file": name, "old": "", "new": sentence, "line": files[name].end})
    said = " and ".join(repr(edit["new"]) for edit in edits)
    return _turn("adding", edits, f"simulated: adds {said}")


def _pool(files: Mapping[str, _File], named: frozenset[str], tastes: Tastes) -> list[_Addition]:
    """Return what may be added. A rule that its file holds already is left out."""
    texts = {name: " ".join(file.text.lower().split()) for name, file in files.items()}
    rules = [
        rule for rule in META_RULES if (text := texts.get(f"{rule.file}.md")) is not None and not rule.stands_in(text)
    ]
    neutral = [
        (f"{role}.md", (phrase,))
        for role, phrases in NEUTRAL.items()
        for phrase in phrases
        if f"{role}.md" in files and phrase not in files[f"{role}.md"].text
    ]
    shares = {True: tastes.helpful, False: 1 - tastes.helpful - tastes.neutral}
    counts = Counter(rule.kind == "helpful" for rule in META_RULES)
    every = sum(map(len, NEUTRAL.values()))
    pool = [
        (f"{rule.file}.md", rule.phrases, shares[helps] / counts[helps] * (tastes.heeds if _heard(rule, named) else 1))
        for rule in rules
        for helps in (rule.kind == "helpful",)
    ]
    return [*pool, *((name, phrases, tastes.neutral / every) for name, phrases in neutral)]


def _heard(rule: Rule, named: frozenset[str]) -> bool:
    return bool(named.intersection(rule.cures))


def _named(prompt: str) -> frozenset[str]:
    """Return the failure modes that the analysis names."""
    shown = [part.text for part in fenced(prompt) if part.label == "analysis"]
    return frozenset(re.findall("|".join(MODES), "\n".join(shown)))


def _known(file: _File) -> list[str]:
    """Return the lines of a file that an editor like this one wrote, and that stand in it once."""
    known = {phrase for rule in META_RULES if f"{rule.file}.md" == file.name for phrase in rule.phrases}
    known |= {*NEUTRAL.get(file.name.removesuffix(".md"), ())}
    return [line for _, line in file.lines if line in known and file.text.count(line) == 1]


def _alike(name: str, sentence: str) -> tuple[str, ...]:
    for rule in META_RULES:
        if sentence in rule.phrases:
            return rule.phrases
    return NEUTRAL.get(name.removesuffix(".md"), ())


def _forbidden(files: Mapping[str, _File], rng: random.Random) -> dict[str, Any]:
    """Return something that code must refuse: a solver's prompt, a file's head, a placeholder, a path outside."""
    challenger = next(iter(files))
    tries = (
        {"action": "insert", "file": "weak_solver.md", "old": "", "new": "Answer in one word.", "line": 1},
        _replace(challenger, "editable = true", "editable = false"),
        _replace(challenger, "{{failures}}", ""),
        {"action": "insert", "file": "../autodata.toml", "old": "", "new": 'acceptance = "majority"', "line": 1},
        {"action": "view", "file": "verifier.md", "old": "", "new": "", "line": 0},
    )
    return dict(rng.choice(tries))


def _replace(name: str, old: str, new: str) -> dict[str, Any]:
    return {"action": "replace", "file": name, "old": old, "new": new, "line": 0}


def _turn(doing: str, edits: Sequence[Mapping[str, Any]], summary: str, *, done: bool = True) -> dict[str, Any]:
    return {"thought": f"simulated: {doing}", "edits": list(edits), "summary": summary[:600], "done": done}


def _numbered(body: str) -> list[tuple[int, str]]:
    return [(int(number), line) for number, line in _LINE.findall(body)]
