"""The simulated world's skills and topics: a challenger with habits, lessons that it reads as text, and their analyst.

A challenger knows `World.skills` skills and as many topics, and asks for the first of them far more often than for the
last. What it is shown in the fenced lessons of its prompt changes that, line by line: a line that says less of a name
makes it rarer, one that says more makes it more frequent, one that says harder or easier moves the difficulty. It obeys
whatever stands there, and so does worse by bad lessons. The same skill and topic make nearly the same question.

The analyst counts what stands in its material, and understands nothing. All constants were set before anything was
measured, and are not to be changed to make the outer loop look better.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from autodata.models.simulated.fences import fenced
from autodata.models.simulated.optimizer import MODES
from autodata.models.simulated.world import World

_MANNERS = "causal counterfactual quantitative comparative temporal structural".split()
_ACTS = "tracing bounding planning diagnosis forecasting attribution".split()
_THINGS = "queue ledger cooling routing sampling bonding".split()
_STATES = "pressure drift collapse recovery saturation leakage".split()

MOST = len(_MANNERS) * len(_ACTS)
"""Skills, and topics, that there are names for."""

_LESS = re.compile(r"\b(?:often|less|avoid|rarely|stop asking)\b", re.IGNORECASE)
_MORE = re.compile(r"\b(?:seldom|more|ask for)\b", re.IGNORECASE)
_HARDER = re.compile(r"\b(?:harder|deeper|further steps)\b", re.IGNORECASE)
_EASIER = re.compile(r"\b(?:easier|simpler|fewer steps)\b", re.IGNORECASE)
_FIRST_LABEL = re.compile(r"^(r\d+):", re.MULTILINE)
_LISTED = re.compile(r"^asked (often|seldom): (.*)$", re.MULTILINE)
_IN_FORCE = re.compile(r"^- (L\d+): (.*)$", re.MULTILINE)
_FARTHEST = 3
"""How many reported failures the lessons together can be worth."""
_MISREADS = 0.15
"""Share of analyses that name a failure mode at random."""
_PHRASES = {
    "harder": (
        "Ask harder questions: what is asked now can be answered in one step.",
        "Go deeper than the first consequence, which a small model finds too.",
        "Build on what takes further steps, each of which depends on the one before.",
    ),
    "easier": (
        "Ask easier questions: the strong solver loses its way in what is asked now.",
        "Leave out one condition, so that the whole becomes simpler to follow.",
        "Take fewer steps from the situation to the answer.",
    ),
}
_TOO_EASY, _TOO_HARD = ("too_easy", "saturated_strong"), ("failed_on_strong", "degenerate_weak", "gap_too_small")


@lru_cache(maxsize=8)
def names(count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return so many skills and topics, those asked most by habit first."""
    skills = tuple(f"{_MANNERS[k % 6]} {_ACTS[(k // 6 + k) % 6]}" for k in range(MOST))
    topics = tuple(f"{_THINGS[k % 6]} {_STATES[(k // 6 + k) % 6]}" for k in range(MOST))
    return skills[:count], topics[:count]


def draw(world: World, prompt: str, rng: random.Random) -> tuple[str, str]:
    """Draw the skill and the topic of a question, by habit and by the lessons of the prompt."""
    lines = _lessons(prompt)
    skill, topic = (_drawn(world, one, lines, rng) for one in names(world.skills))
    return skill, topic


def question(skill: str, topic: str, item: str) -> str:
    """Return the question of a skill and a topic: nearly the same text each time."""
    return (
        f"Take {topic} in a plant where {topic} can neither be stopped nor measured while it lasts, and suppose that"
        f" its main assumption no longer holds. By {skill}, with nothing but {skill}, what follows for {topic} first,"
        f" what later, and which sign that {skill} yields tells both cases apart before {topic} cannot be undone?"
        f" {item}"
    )


def shift(prompt: str) -> int:
    """Return how many failures reported as too easy the lessons are worth; below 0 as many reported as too hard."""
    lines = _lessons(prompt)
    harder, easier = (sum(bool(pattern.search(line)) for line in lines) for pattern in (_HARDER, _EASIER))
    return max(-_FARTHEST, min(_FARTHEST, harder - easier))


def analysis(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    """Return what a batch taught. An analyst of a world that is `misled` says the opposite of what it counts."""
    parts = {part.label: part.text for part in fenced(prompt, {"figures", "coverage", "lessons", "rounds"})}
    labels = _FIRST_LABEL.findall(parts.get("rounds", "")) or ["r1"]
    listed = {sort: [one for one in found.split("; ") if one in _known(world)] for sort, found in _coverage(parts)}
    often, seldom = listed.get("often", []), listed.get("seldom", [])
    modes = Counter(re.findall("|".join(MODES), parts.get("rounds", "")))
    mode = rng.choice(MODES) if rng.random() < _MISREADS else max(modes, key=lambda one: modes[one], default="")
    sort = "harder" if mode in _TOO_EASY else "easier" if mode in _TOO_HARD else ""
    if world.misled:
        often, seldom, sort = seldom, often, {"harder": "easier", "easier": "harder"}.get(sort, "")
    texts = [f"Ask less often for {_listed(often[:3])}."] if often else []
    texts += [f"Ask more for {_listed(seldom[:3])}."] if seldom else []
    texts += [rng.choice(_PHRASES[sort])] if sort else []
    stale = [
        lesson
        for lesson, text in _IN_FORCE.findall(parts.get("lessons", ""))
        if any(name in text for name in (seldom if _LESS.search(text) else often))
    ]
    evidence = [sorted(rng.sample(labels, min(len(labels), 2))) for _ in texts]
    lessons = [{"text": text, "evidence": shown} for text, shown in zip(texts, evidence, strict=True)]
    return {"lessons": lessons, "retire": stale}


def _drawn(world: World, known: Sequence[str], lines: Sequence[str], rng: random.Random) -> str:
    weights = [(rank + 1) ** -world.habit for rank in range(len(known))]
    for place, name in enumerate(known):
        of_name = [line for line in lines if name in line]
        less = any(_LESS.search(line) for line in of_name)
        more = any(_MORE.search(line) and not _LESS.search(line) for line in of_name)
        weights[place] *= world.heeds ** (int(more) - int(less))
    return rng.choices(known, weights)[0]


def _lessons(prompt: str) -> list[str]:
    texts = [part.text for part in fenced(prompt, {"lessons"})]
    return texts[-1].lower().splitlines() if texts else []


def _coverage(parts: dict[str, str]) -> Iterator[tuple[str, str]]:
    yield from _LISTED.findall(parts.get("coverage", ""))


def _known(world: World) -> frozenset[str]:
    return frozenset(name for sort in names(world.skills) for name in sort)


def _listed(found: Sequence[str]) -> str:
    return ", ".join(found)
