"""What a judge's noise does to verdicts: how many flip, how far from a gate they must lie, how many attempts help.

A run's verdicts are played again: each recorded mark of a judge is turned with the probability that two findings on a
criterion differ, scores and verdict are worked out anew. Marks of code are never turned.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from autodata.checkpoints.records import Stage
from autodata.domains.acceptance.borderline import borderline
from autodata.domains.acceptance.policies import AcceptancePolicy, Planned
from autodata.domains.acceptance.rubric_score import rubric_score

PLAYS = 50
"""How often each round is played again."""
COUNTS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)
"""The numbers of attempts of a solver that are tried."""
POOL = 24
"""Other markings of an attempt that are drawn beforehand."""
DRAWN = 300
"""Rounds that are drawn for each number of attempts, about."""
MARGINS = tuple(Fraction(k, 100) for k in range(51))
"""The guard bands that are tried, in hundredths of a score."""

Turned = Mapping[bool, float]
"""How often two findings differ, on positive criteria (True) and on negative ones (False)."""


@dataclass(frozen=True)
class Marked:
    """One attempt: its score, and what it is made of where a judge marked it."""

    score: Fraction
    weights: tuple[int, ...] = ()
    met: tuple[bool, ...] = ()
    """Empty where code decided."""

    def again(self, turned: Turned, rng: random.Random) -> Fraction:
        """Return the score of another marking."""
        if not self.met:
            return self.score
        met = [
            is_met != (rng.random() < turned[weight > 0]) for weight, is_met in zip(self.weights, self.met, strict=True)
        ]
        return rubric_score(self.weights, met)


@dataclass(frozen=True)
class Played:
    """One round: its attempts, and the share of its plays in which the verdict was another."""

    attempts: Mapping[Stage, tuple[Marked, ...]]
    flips: float


def played(
    rounds: Sequence[Mapping[Stage, tuple[Marked, ...]]],
    policy: AcceptancePolicy,
    planned: Planned,
    turned: Turned,
    seed: int = 0,
) -> list[Played]:
    """Play rounds again; return how often each verdict flips, from pass to failure or back, at either gate."""
    rng = random.Random(seed)  # noqa: S311 - a reproducible sample, not a secret
    found = []
    for attempts in rounds:
        verdict = _verdict(attempts, policy, planned)
        plays = [_verdict(_again(attempts, turned, rng), policy, planned) for _ in range(PLAYS)]
        found.append(Played(attempts, sum(play != verdict for play in plays) / PLAYS))
    return found


def guard_band(
    rounds: Sequence[Played], policy: AcceptancePolicy, planned: Planned, rate: float
) -> tuple[Fraction | None, int]:
    """Return how far from every gate a verdict must lie for at most this share of them to flip, and how many do.

    The least of `MARGINS`; None where no margin leaves any round, or for a policy without gates.
    """
    for margin in MARGINS:
        left = [one for one in rounds if not _near(one, policy, planned, margin)]
        if left and sum(one.flips for one in left) / len(left) <= rate:
            return margin, len(left)
    return None, 0


def attempts_for(
    rounds: Sequence[Mapping[Stage, tuple[Marked, ...]]],
    policy: AcceptancePolicy,
    turned: Turned,
    rate: float,
    seed: int = 0,
) -> tuple[int | None, Mapping[int, float]]:
    """Return the fewest attempts of each solver with at most this share of flips, and the share by number of attempts.

    Rounds whose attempts of both solvers were marked are played with so many attempts, drawn from those that were made
    with replacement, as they were marked and as another marking would. None where even the most of `COUNTS` do
    not do, or nothing can be played.
    """
    whole = [one for one in rounds if one[Stage.WEAK] and one[Stage.STRONG]]
    rng = random.Random(seed)  # noqa: S311 - a reproducible sample, not a secret
    pools = [
        {stage: [(a.score, [a.again(turned, rng) for _ in range(POOL)]) for a in made] for stage, made in one.items()}
        for one in whole
    ]
    curve: dict[int, float] = {}
    enough: int | None = None
    for count in COUNTS if pools else ():
        flips = plays = 0
        while plays < DRAWN:
            for pool in pools:
                drawn = {stage: rng.choices(made, k=count) for stage, made in pool.items()}
                first = {stage: [score for score, _ in made] for stage, made in drawn.items()}
                second = {stage: [rng.choice(others) for _, others in made] for stage, made in drawn.items()}
                flips += _ruled(first, policy, Planned(count, count)) != _ruled(second, policy, Planned(count, count))
            plays += len(pools)
        curve[count] = flips / plays
        if enough is None and curve[count] <= rate:
            enough = count
    return enough, curve


def _again(
    attempts: Mapping[Stage, tuple[Marked, ...]], turned: Turned, rng: random.Random
) -> dict[Stage, tuple[Marked, ...]]:
    return {stage: tuple(Marked(one.again(turned, rng)) for one in made) for stage, made in attempts.items()}


def _verdict(attempts: Mapping[Stage, Sequence[Marked]], policy: AcceptancePolicy, planned: Planned) -> str:
    return _ruled({stage: [one.score for one in made] for stage, made in attempts.items()}, policy, planned)


def _ruled(scores: Mapping[Stage, Sequence[Fraction]], policy: AcceptancePolicy, planned: Planned) -> str:
    """Return what the policy decides; of a strong stage that was never reached it asks for attempts."""
    return policy.rule(scores[Stage.WEAK], scores[Stage.STRONG], planned).decision.value


def _near(one: Played, policy: AcceptancePolicy, planned: Planned, margin: Fraction) -> bool:
    weak, strong = ([attempt.score for attempt in one.attempts[stage]] for stage in Stage)
    return bool(borderline(policy, weak, strong, planned, margin))
