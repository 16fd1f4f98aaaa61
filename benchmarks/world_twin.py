"""The simulated world without text: what the pipeline would do to a document, some hundred times faster.

It draws with the functions of `models/simulated/world.py`, which the simulated model draws with, scores with the real
rubric arithmetic and decides with the real acceptance policy. Left out are text, the graph, the ledger and errors of
the infrastructure, of which the world has none. tests/e2e/test_world_twin.py compares both.

Random numbers are keyed as the simulated model's are, by what a prompt says: two packs share the draws of a step if,
and only if, all prompts that it depends on are the same. So a challenger's edit makes a new, independent draw of the
whole document, and an edit of the quality verifier keeps the questions and changes the findings. One thing is keyed
otherwise: stopping settled attempts early changes feedback texts, and with them, in the pipeline, the later draws;
here it does not, so that decisions with and without it can be compared document by document.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from autodata.checkpoints.records import Decision, DocumentStatus, FailureMode, Stage
from autodata.domains.acceptance.policies import AcceptancePolicy, Planned, Ruling
from autodata.domains.acceptance.rubric_score import rubric_score
from autodata.models.simulated.rules import NOTHING, Effects, Rule, effects_on_review, rules_of_writing
from autodata.models.simulated.world import (
    Criterion,
    Item,
    World,
    draw_finding,
    draw_item,
    draw_level,
    draw_met,
    draw_rubric,
    draw_sloppy,
    effects_on,
    logit_of,
)
from autodata.prompts import PromptPack

EASY = frozenset({FailureMode.TOO_EASY, FailureMode.SATURATED_STRONG})
HARD = frozenset({FailureMode.FAILED_ON_STRONG, FailureMode.GAP_TOO_SMALL, FailureMode.DEGENERATE_WEAK})
TRIES = 4
"""Replies asked for until one can be read: the default of `[retries]`."""


@dataclass(frozen=True)
class Obeyed:
    """What the rules in a pack do: to the first question, to later ones, and to the quality verifier's findings."""

    first: tuple[Rule, ...] = ()
    later: tuple[Rule, ...] = ()
    review: Effects = NOTHING
    challenger: str = ""
    """Versions of the prompts, by which draws are keyed."""
    feedback: str = ""
    verifier: str = ""

    @classmethod
    def of(cls, pack: PromptPack, rulebook: str) -> Obeyed:
        """Read a pack's rules as the simulated roles read them in its rendered prompts."""
        texts = {
            role: f"{pack[role].system}\n\n{pack[role].user}" for role in ("challenger", "feedback", "quality_verifier")
        }
        return cls(
            first=rules_of_writing(rulebook, texts["challenger"]),
            later=rules_of_writing(rulebook, f"{texts['challenger']}\n\n{texts['feedback']}"),
            review=effects_on_review(rulebook, texts["quality_verifier"]),
            challenger=pack["challenger"].version,
            feedback=pack["feedback"].version,
            verifier=pack["quality_verifier"].version,
        )


@dataclass(frozen=True, slots=True)
class Marked:
    """One attempt: its level, what the judge found of each criterion, and its score."""

    level: float
    met: tuple[bool, ...]
    score: Fraction


@dataclass(frozen=True)
class RoundPlayed:
    """One round: how it failed (None: accepted), and its numbers, where it came to have them."""

    failure_mode: FailureMode | None
    item: Item | None = None
    rubric: tuple[Criterion, ...] = ()
    weak: tuple[Marked, ...] = ()
    strong: tuple[Marked, ...] = ()
    reason: str = ""
    """Which fault the quality verifier saw, or the checks of the verdict."""


@dataclass(frozen=True)
class Played:
    """How a document came out."""

    status: DocumentStatus
    calls: int
    """Those that the pipeline would pay for."""
    rounds: tuple[RoundPlayed, ...] = field(default=())
    taken: int = 0
    """How many rounds it took; `rounds` may hold fewer."""


class Twin:
    """Plays documents of a rubric domain with a quality verifier and a final check, as `cs` is."""

    def __init__(
        self,
        world: World,
        policy: AcceptancePolicy,
        planned: Planned,
        *,
        max_rounds: int,
        frozen: PromptPack | None = None,
        seed: int = 0,
    ) -> None:
        """`frozen` is the pack whose quality verifier makes the final check; None: the pack's own."""
        self.world, self._policy, self._planned, self._max_rounds = world, policy, planned, max_rounds
        self._frozen = Obeyed.of(frozen, world.rulebook) if frozen else None
        self._seed = seed
        self._theta = {Stage(name): world.abilities.get(name, 0.0) for name in ("weak", "strong")}

    def obeyed(self, pack: PromptPack) -> Obeyed:
        """Return what a pack's rules do in this world."""
        return Obeyed.of(pack, self.world.rulebook)

    def play(self, rules: Obeyed, block: int, document: str) -> Played:
        """Play one document to its end."""
        rounds: list[RoundPlayed] = []
        key, calls, easy, hard = f"{self._seed}/{block}/{document}", 0, 0, 0
        first, later = (effects_on(self.world, obeyed, document) for obeyed in (rules.first, rules.later))
        for n in range(1, self._max_rounds + 1):
            key = f"{key}/{n}/{rules.challenger}" + (f"/{rules.feedback}" if n > 1 else "")
            played, paid = self._round(rules, key, easy, hard, later if n > 1 else first)
            rounds.append(played)
            calls += paid
            if played.failure_mode in {None, FailureMode.FINAL_CHECK}:
                status = DocumentStatus.REJECTED if played.failure_mode else DocumentStatus.ACCEPTED
                return Played(status, calls, tuple(rounds), len(rounds))
            easy += played.failure_mode in EASY
            hard += played.failure_mode in HARD
            key = f"{key}:{played.failure_mode}"
        return Played(DocumentStatus.REJECTED, calls, tuple(rounds), len(rounds))

    def _round(self, rules: Obeyed, key: str, easy: int, hard: int, effects: Effects) -> tuple[RoundPlayed, int]:
        item, rubric, calls = self._written(key, easy, hard, effects)
        if item is None:
            return RoundPlayed(FailureMode.MALFORMED, reason="no weight is an integer"), calls
        calls += 1
        if (found := self._finding(item, rules, f"{key}/check")) != "none":
            return RoundPlayed(FailureMode.QUALITY, item, tuple(rubric), reason=found), calls
        ruling, weak, strong = self._attempts(item, rubric, key)
        calls += 2 * (len(weak) + len(strong))
        numbers = (item, tuple(rubric), tuple(weak), tuple(strong))
        if ruling.decision is Decision.REJECT:
            return RoundPlayed(ruling.failure_mode, *numbers, reason="; ".join(map(str, ruling.checks))), calls
        calls += 1
        if (found := self._finding(item, self._frozen or rules, f"{key}/accept")) != "none":
            return RoundPlayed(FailureMode.FINAL_CHECK, *numbers, reason=found), calls
        return RoundPlayed(None, *numbers), calls

    def _written(
        self, key: str, easy: int, hard: int, effects: Effects
    ) -> tuple[Item | None, Sequence[Criterion], int]:
        """Return a question and its rubric, None after too many unreadable ones, and the calls it took."""
        for number in range(TRIES):
            rng = random.Random(f"{key}/{number}")
            item = draw_item(self.world, effects, easy, hard, rng)
            rubric = draw_rubric(self.world, rng)
            if not draw_sloppy(self.world, effects, number > 0, rng):
                return item, rubric, number + 1
        return None, (), TRIES

    def _finding(self, item: Item, rules: Obeyed, key: str) -> str:
        return draw_finding(self.world, item.fault, random.Random(f"{key}/{rules.verifier}"), rules.review)

    def _attempts(self, item: Item, rubric: Sequence[Criterion], key: str) -> tuple[Ruling, list[Marked], list[Marked]]:
        """Make the attempts that the policy asks for, as the graph does, until it accepts or rejects."""
        made: dict[Stage, list[Marked]] = {Stage.WEAK: [], Stage.STRONG: []}
        scores: dict[Stage, list[Fraction]] = {Stage.WEAK: [], Stage.STRONG: []}
        streams = {stage: random.Random(f"{key}/{stage}") for stage in made}
        while True:
            ruling = self._ruling(scores[Stage.WEAK], scores[Stage.STRONG])
            if ruling.decision in {Decision.ACCEPT, Decision.REJECT}:
                return ruling, made[Stage.WEAK], made[Stage.STRONG]
            stage = Stage.STRONG if ruling.decision is Decision.STRONG else ruling.stage
            for _ in range(ruling.more):
                made[stage].append(self._attempt(item, rubric, self._theta[stage], streams[stage]))
                scores[stage].append(made[stage][-1].score)

    def _ruling(self, weak: Sequence[Fraction], strong: Sequence[Fraction]) -> Ruling:
        return self._policy.rule(weak, strong, self._planned)

    def _attempt(self, item: Item, rubric: Sequence[Criterion], theta: float, rng: random.Random) -> Marked:
        level = draw_level(self.world, item, theta, rng)
        logit = logit_of(level)
        met = tuple(draw_met(self.world, logit, row.b, row.weight < 0, rng) for row in rubric)
        return Marked(level, met, rubric_score([row.weight for row in rubric], met))
