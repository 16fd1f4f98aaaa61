"""Which parent is sampled, on how many seed blocks it is validated, which pack is the winner: arithmetic only.

Boltzmann sampling is the paper's (section 6, step 1): P(i) proportional to exp(score_i / T).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from autodata.domains.acceptance.rubric_score import mean
from autodata.models.seeds import seed_for

CONFIRM = 1_000_000
"""Seed blocks from here on are fresh ones that a new incumbent was confirmed on."""


@dataclass(frozen=True)
class Member:
    """One pack of the population, with its exact validation scores by seed block."""

    pack: str
    iteration: int
    """The iteration that made it; 0 for the baseline."""
    blocks: Mapping[int, Fraction] = field(default_factory=dict)

    @property
    def score(self) -> Fraction | None:
        """The mean over all blocks, confirmations included: what parents are sampled by. None before the first."""
        return mean(list(self.blocks.values())) if self.blocks else None

    @property
    def reported(self) -> Fraction | None:
        """The mean over the confirming blocks alone, which took no part in its selection; else over all."""
        fresh = [score for block, score in self.blocks.items() if block >= CONFIRM]
        return mean(fresh) if fresh else self.score

    @property
    def bought(self) -> tuple[int, ...]:
        """The blocks it was validated on, confirmations left out, in order."""
        return tuple(sorted(block for block in self.blocks if block < CONFIRM))


def boltzmann(scores: Sequence[float], temperature: float) -> list[float]:
    """Return P(i) proportional to exp(score_i / T). Raises ValueError without scores or unless T is positive."""
    if not scores or temperature <= 0:
        raise ValueError("at least one score and a positive temperature are needed")
    top = max(scores)
    weights = [math.exp((score - top) / temperature) for score in scores]
    total = sum(weights)
    return [weight / total for weight in weights]


def pick(probabilities: Sequence[float], draw: float) -> int:
    """Return the index that a draw in [0, 1) falls on."""
    reached = 0.0
    for index, probability in enumerate(probabilities):
        reached += probability
        if draw < reached:
            return index
    return len(probabilities) - 1


def draw_for(run_seed: int, iteration: int) -> float:
    """Return an iteration's draw in [0, 1), which depends on nothing else."""
    return seed_for(run_seed, "select", iteration) / 2**31


def blocks_due(sampled: int, *, reuse: bool, most: int, is_baseline: bool) -> int:
    """Return how many blocks a pack must be validated on when it is sampled for the `sampled`-th time (from 1).

    With `reuse` every second time brings a further block, up to `most`; without, each time does. A pack other than the
    baseline is due two at least: the block that it was accepted on flatters it, and is no bar for its mutants.
    """
    if reuse:
        return max(1 if is_baseline else 2, min(most, 1 + sampled // 2))
    return sampled + (not is_baseline)


def next_block(member: Member) -> int:
    """Return the block that a pack is validated on next: a fresh one, behind all that it has."""
    return max(member.bought, default=-1) + 1


def minibatch(documents: Sequence[str], size: int, sampled: int, seed: int) -> tuple[tuple[str, ...], int]:
    """Return the training documents of a pack's `sampled`-th time (from 1), and their seed block.

    A pack goes through all documents in an order of its own, the last minibatch perhaps a short one, before it sees one
    again under other seeds.
    """
    order = sorted(documents)
    random.Random(seed).shuffle(order)  # noqa: S311 - a reproducible order
    block, number = divmod(sampled - 1, max(1, math.ceil(len(order) / size)))
    return tuple(order[number * size : (number + 1) * size]), block


def best(members: Sequence[Member]) -> Member:
    """Return the member with the highest mean score; of equals the earliest. Raises ValueError when none has one."""
    scored = [member for member in members if member.score is not None]
    if not scored:
        raise ValueError("no pack was validated yet")
    return max(scored, key=lambda member: (member.score or Fraction(0), -member.iteration))


def wilson(passed: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Return Wilson's interval of a rate `passed / n`, by default at 95%. Raises ValueError without observations."""
    if n <= 0:
        raise ValueError("no observations")
    rate = passed / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)
