"""The simulated world in numbers: its constants, and how questions, answers, marks and reviews are drawn.

The simulated model puts these numbers into text and reads them from there; a numeric twin of the world uses them as
they are. Both call the functions of this module, so that there is one world. Every function draws from the generator
that it is given.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from autodata.models.config import Settings
from autodata.models.simulated.rules import NOTHING, Effects, Rule, summed

FAULTS = ("leak", "recall", "rubric")


class Faults(Settings):
    """Failures of the infrastructure that the simulated endpoint injects."""

    malformed: float = Field(default=0.0, ge=0, le=1)
    """Share of structured replies that are cut JSON or prose."""
    truncated: float = Field(default=0.0, ge=0, le=1)
    """Share of answers cut off by the token limit before anything was said."""
    empty: float = Field(default=0.0, ge=0, le=1)
    """Share of answers that are empty though nothing cut them off."""
    rate_limited: float = Field(default=0.0, ge=0, le=1)
    """Share of calls whose first request is refused with 429."""
    outage: bool = False
    """Whether every request fails with 503."""
    latency_s: float = Field(default=0.0, ge=0)
    """Seconds a request takes."""


class World(Settings):
    """Constants of the item-response world. The defaults start out too easy, as computer science did in the paper."""

    abilities: dict[str, float] = Field(default_factory=lambda: {"weak": 0.0, "strong": 1.6})
    """Ability of a solver by the name of its model; an unknown name has ability 0."""
    difficulty: float = -1.2
    """Mean difficulty of a first question."""
    discrimination: float = Field(default=0.6, gt=0)
    """Mean discrimination of a first question."""
    spread: float = Field(default=0.5, ge=0)
    """Standard deviation of difficulty, and of the log of discrimination."""
    learns: float = 0.45
    """How far one reported failure moves the next question's difficulty."""
    sharpens: float = 0.2
    """How much one reported failure raises the next question's discrimination."""
    attempt_noise: float = Field(default=0.5, ge=0)
    """Standard deviation of an attempt's level, in logits."""
    fault_rate: float = Field(default=0.12, ge=0, le=1)
    """Share of questions with a fault: a leak, a recall question, or one with a bad rubric."""
    detects: float = Field(default=0.9, ge=0, le=1)
    """Share of faults that the quality verifier sees."""
    false_alarms: float = Field(default=0.03, ge=0, le=1)
    """Share of sound questions that the quality verifier fails."""
    judge_noise: float = Field(default=0.03, ge=0, le=0.5)
    """Share of criteria that the judge gets wrong."""
    steady: bool = False
    """Whether a criterion is met in an answer or not for good, so that judges differ by their noise alone. Otherwise
    each judge finds for itself, with the chance that answer and criterion give."""
    judge_noises: dict[str, float] = Field(default_factory=lambda: {"small-judge": 0.1, "large-judge": 0.005})
    """The same for a judge by the name of its model, where it is not `judge_noise`."""
    document_bonus: float = 4.0
    """Ability that seeing the source adds."""
    criterion_spread: float = Field(default=0.6, ge=0)
    """Standard deviation of the difficulties of a rubric's criteria, in logits."""
    rulebook: Literal["first", "meta"] = "first"
    """Which sentences of a prompt are obeyed: the few of the `first` world, or those of the optimiser's, `meta`."""
    sloppy: float = Field(default=0.0, ge=0, le=1)
    """Share of rubrics first written with a weight that is no integer."""
    stubborn: float = Field(default=0.0, ge=0, le=1)
    """Share of repairs of such a rubric that have one again."""
    skills: int = Field(default=0, ge=0, le=36)
    """Skills, and topics, that a challenger of rubrics knows and asks for by habit; 0: it names the same two always."""
    habit: float = Field(default=1.2, ge=0)
    """How uneven its habit is: the k-th skill is asked in proportion to k to the power of minus this."""
    heeds: float = Field(default=6.0, ge=1)
    """How many times as often it asks for what a lesson says more of, and as seldom for what one says less of."""
    misled: bool = False
    """Whether the analyst of a dataset says the opposite of what it counts."""
    document_spread: float = Field(default=0.0, ge=0)
    """Standard deviation of what a document itself adds to the difficulty of its questions, in logits."""
    document_rules: float = Field(default=0.0, ge=0)
    """Standard deviation of the factor, 1 on average and never below 0, by which a rule's effects differ by document.
    """
    faults: Faults = Faults()


TOO_HARD = World(difficulty=1.0, discrimination=2.0, spread=0.3, attempt_noise=0.25, criterion_spread=1.2)
"""A world that starts out too hard, as law did in the paper: weak attempts score little, and all alike."""

META_WORLD = World(
    difficulty=-0.75,
    discrimination=0.9,
    spread=0.25,
    attempt_noise=0.3,
    fault_rate=0.18,
    false_alarms=0.04,
    rulebook="meta",
    sloppy=0.25,
    stubborn=0.75,
)
"""The world in which the meta-optimiser is measured (docs/optimizer-world.md)."""

DOCUMENT_WORLD = META_WORLD.model_copy(update={"document_spread": 0.3, "document_rules": 0.75})
"""The second world in which it is measured: documents differ, and what a rule does differs by document."""

PAPER_WORLD = World(difficulty=-2.26, discrimination=0.45, learns=0.142, sharpens=0.0, fault_rate=0.029)
"""A world set to the paper's statistics of computer science (section 3): a weak mean of 0.68 at first questions, 6.6
rounds an accepted example, and of the failed rounds 80% too easy, 13% failed on strong, 7% failed the quality check.

Fitted to these figures and to the means of accepted examples, before anything was measured in it; all other constants
are the defaults. First questions' strong mean is above the paper's: with its gap of 0.02 hardly any would be accepted.
"""

_LATER = (
    *("document_spread", "document_rules", "rulebook", "sloppy", "stubborn", "skills", "habit", "heeds", "misled"),
    *("judge_noises", "steady"),
)


def key_of(world: World) -> dict[str, Any]:
    """Return what of a world its replies depend on, so that a constant added later changes none while it is unset."""
    plain = world.model_dump(mode="json", exclude={"faults"}) | {"faults": Faults().model_dump(mode="json")}
    fields = World.model_fields
    return {
        name: value
        for name, value in plain.items()
        if name not in _LATER or value != fields[name].get_default(call_default_factory=True)
    }


@dataclass(frozen=True, slots=True)
class Item:
    """A question's numbers."""

    d: float
    """Difficulty, in logits."""
    a: float
    """Discrimination."""
    fault: str = "none"


@dataclass(frozen=True, slots=True)
class Criterion:
    """A criterion's numbers: its own difficulty `b`, in logits, and its weight."""

    b: float
    weight: int


def effects_on(world: World, rules: Iterable[Rule], document: str) -> Effects:
    """Return what rules in a challenger's prompt do to the questions that it writes about one document.

    `document` is any text that names it. In a world where documents are alike it plays no part.
    """
    found = tuple(rules)
    if not (world.document_spread or world.document_rules):
        return summed(found)
    factors = [max(0.0, 1 + world.document_rules * document_normal(document, rule.name)) for rule in found]
    effects = summed(found, factors)
    own = world.document_spread * document_normal(document, "")
    return effects.model_copy(update={"difficulty": effects.difficulty + own})


def document_normal(document: str, name: str) -> float:
    """Return a draw from the standard normal distribution for a document and a rule, or its own difficulty."""
    return random.Random(f"{document}\x1f{name}").gauss(0, 1)  # noqa: S311 - a reproducible world


def draw_item(world: World, effects: Effects, easy: int, hard: int, rng: random.Random) -> Item:
    """Draw a question around what rules and reported failures make of the world.

    `easy` and `hard` count the failures reported that call for a harder question and for an easier one.
    """
    difficulty = world.difficulty + (world.learns + effects.learns) * (easy - hard) + effects.difficulty
    sharpness = world.discrimination + world.sharpens * (easy + hard) + effects.discrimination
    d = rng.gauss(difficulty, world.spread)
    a = min(3.0, sharpness * math.exp(rng.gauss(0, world.spread)))
    faulty = rng.random() < max(0.0, world.fault_rate + effects.fault_rate)
    return Item(round(d, 3), round(a, 3), rng.choice(FAULTS) if faulty else "none")


def draw_rubric(world: World, rng: random.Random) -> list[Criterion]:
    """Draw a rubric: eight to ten positive criteria, then three or four negative ones."""
    positive, negative = rng.randint(8, 10), rng.randint(3, 4)
    return [
        Criterion(
            round(rng.gauss(0, world.criterion_spread), 2), rng.randint(3, 10) if k < positive else -rng.randint(3, 8)
        )
        for k in range(positive + negative)
    ]


def draw_sloppy(world: World, effects: Effects, repairing: bool, rng: random.Random) -> bool:
    """Whether a rubric's weights are no integers. Draws only in a world where that happens."""
    if not world.sloppy:
        return False
    chance = world.stubborn if repairing else max(0.0, world.sloppy + effects.sloppy)
    return rng.random() < chance


def draw_level(world: World, item: Item, theta: float, rng: random.Random) -> float:
    """Draw the level of one attempt at a question by a solver of ability `theta`: in 0..1."""
    return round(logistic(item.a * (theta - item.d) + rng.gauss(0, world.attempt_noise)), 4)


def logit_of(level: float) -> float:
    """Return the logit of a level, which is held within 0.001 and 0.999."""
    level = min(0.999, max(0.001, level))
    return math.log(level / (1 - level))


def draw_met(
    world: World, logit: float, b: float, negative: bool, rng: random.Random, truth: random.Random | None = None
) -> bool:
    """Draw a judge's finding on one criterion of an answer whose level has this logit.

    Whether it is met is drawn from `truth`, where that is given; the judge's error always from `rng`.
    """
    right = logistic(logit - b)
    chance = 0.4 * (1 - right) if negative else right
    return ((truth or rng).random() < chance) != (rng.random() < world.judge_noise)


def draw_finding(world: World, fault: str, rng: random.Random, effects: Effects = NOTHING) -> str:
    """Draw what the quality verifier believes: it misses some faults and sees some that are not there."""
    if fault == "none":
        return "leak" if rng.random() < world.false_alarms + effects.false_alarms else "none"
    return fault if rng.random() < world.detects + effects.detects else "none"


def logistic(x: float) -> float:
    """Return 1 / (1 + exp(-x)), for any x."""
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, x))))
