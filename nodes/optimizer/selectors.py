"""Selectors: with what probability each pack of the population is the next parent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from autodata.nodes.optimizer.estimate import Estimates
from autodata.nodes.optimizer.population import boltzmann

DRAWS = 100
"""Joint draws of which Thompson sampling takes the shares."""


class Selector(Protocol):
    """Chooses parents. One of your own is a class with this method."""

    def probabilities(self, packs: Sequence[str], estimates: Estimates, seed: int) -> list[float]:
        """Return the probability of each pack, in their order; they add up to 1. The same for the same seed."""


@dataclass(frozen=True)
class Boltzmann:
    """The paper's: P(i) proportional to exp(rate_i / T)."""

    temperature: float = 0.1

    def probabilities(self, packs: Sequence[str], estimates: Estimates, seed: int) -> list[float]:
        """Return the probabilities; the seed plays no part."""
        return boltzmann([estimates.rate(pack) for pack in packs], self.temperature)


@dataclass(frozen=True)
class Thompson:
    """Thompson sampling: how often a pack is the best in joint draws from what is known."""

    draws: int = DRAWS

    def probabilities(self, packs: Sequence[str], estimates: Estimates, seed: int) -> list[float]:
        """Return the shares of the draws in which each pack is the best."""
        wins = [0] * len(packs)
        for rates in estimates.draw(packs, seed, self.draws):
            wins[max(range(len(packs)), key=rates.__getitem__)] += 1
        return [count / self.draws for count in wins]


@dataclass(frozen=True)
class Greedy:
    """Always the pack with the highest estimate."""

    def probabilities(self, packs: Sequence[str], estimates: Estimates, seed: int) -> list[float]:
        """Return 1 for the best pack, the first of equals, and 0 for the others."""
        rates = [estimates.rate(pack) for pack in packs]
        best = rates.index(max(rates))
        return [float(at == best) for at in range(len(packs))]
