"""Acceptance: when a mutant joins the population, and how much is paid to find that out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol

from autodata.domains.acceptance.bounds import decimal
from autodata.nodes.optimizer.evaluator import Lost, Trial
from autodata.nodes.optimizer.racing import cannot_win, hardly_wins, paired, score_of

Side = Literal["parent", "mutant"]


@dataclass(frozen=True)
class Comparison:
    """How parent and mutant stand. Trials of the block, or blocks, that they are compared on, in order."""

    block: int
    """The first of the blocks."""
    parent: Sequence[Trial]
    mutant: Sequence[Trial]
    complete: bool
    """Whether the mutant was tried on the whole of the shared block."""
    validated: tuple[int, int]
    """All validation trials of parent and mutant that did not error, of whatever block."""
    better: Callable[[], float]
    """The estimated probability that the mutant's pass rate is above the parent's."""


@dataclass(frozen=True)
class Ask:
    """Nothing is settled: try one of the two on further documents."""

    side: Side
    documents: int | None = None
    """How many at most; None: to the end of the block."""
    lost: Lost | None = None
    """When to stop before."""


@dataclass(frozen=True)
class Ruling:
    """The outcome. `better` is the probability that it rests on, where it rests on one."""

    outcome: Literal["accepted", "rejected", "errored"]
    reason: str
    better: float | None = None


class Acceptance(Protocol):
    """Decides on mutants: the same comparison, the same answer. One of your own has these three parts."""

    @property
    def name(self) -> str:
        """What it is called in the ledger."""

    @property
    def shared(self) -> bool:
        """Whether the parent is tried on the whole of the shared block before anything is edited."""

    def rule(self, seen: Comparison) -> Ask | Ruling:
        """Return what to try next, or the outcome."""


@dataclass(frozen=True)
class Strict:
    """The paper's rule: both on one block, and the mutant joins only if it is strictly better there.

    Racing may stop a mutant that can no longer win (`exact`), or that hardly can (`paired`).
    """

    racing: Literal["off", "exact", "paired"] = "off"
    batch: int = 5
    error: float = 0.05
    name: str = "strict"
    shared: bool = True

    def rule(self, seen: Comparison) -> Ask | Ruling:
        """Try the mutant on the parent's block, then compare them on the documents that errored for neither."""
        lost = self._lost(seen.parent)
        if not seen.complete:
            if lost is None or not lost(seen.mutant):
                return Ask("mutant", lost=lost)
            passed = sum(trial.passed for trial in seen.mutant)
            score = score_of(seen.parent)
            against = "" if score is None else f", against the parent's {decimal(score)} on block {seen.block}"
            return Ruling("rejected", f"given up after {len(seen.mutant)} documents, {passed} of them passed{against}")
        both = paired(seen.parent, seen.mutant)
        if both is None:
            return Ruling("errored", "parent and mutant share no document without an error")
        comparison = f"{decimal(both[1])} against the parent's {decimal(both[0])} on block {seen.block}"
        return Ruling("accepted" if both[1] > both[0] else "rejected", comparison)

    def _lost(self, parent: Sequence[Trial]) -> Lost | None:
        if self.racing == "off":
            return None
        return cannot_win(parent) if self.racing == "exact" else hardly_wins(parent, self.batch, self.error)


@dataclass(frozen=True)
class Sequential:
    """Documents in small batches until the mutant is better with a probability above `above` or below `below`.

    Each batch goes to whichever of the two was validated on fewer documents. A mutant that neither bound has settled
    after `most` documents is accepted if it is rather better than not.
    """

    above: float = 0.65
    below: float = 0.45
    batch: int = 5
    most: int = 200
    name: str = "sequential"
    shared: bool = False

    def rule(self, seen: Comparison) -> Ask | Ruling:
        """Ask for a batch, or settle it. A mutant is tried on one batch at least."""
        of_parent, of_mutant = seen.validated
        if of_mutant:
            better = seen.better()
            why = f"better with a probability of {better:.2f} after {of_mutant} documents, the parent after {of_parent}"
            if better > self.above:
                return Ruling("accepted", why, better)
            if better < self.below:
                return Ruling("rejected", why, better)
            if len(seen.mutant) >= self.most:
                return Ruling("accepted" if better > 0.5 else "rejected", f"{why}, the most that are tried", better)
        parents = of_parent < of_mutant and len(seen.parent) < self.most
        return Ask("parent" if parents else "mutant", documents=self.batch)


def exact(value: float) -> str:
    """Return an estimate as the exact fraction, of ten thousandths, that state and ledger hold."""
    return str(Fraction(round(value * 10_000), 10_000))
