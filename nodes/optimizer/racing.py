"""Racing: when a mutant's validation may stop because it can no longer win, or hardly can.

`exact` stops only what is decided, so it changes no decision. `paired` adds a sign test over the documents that exactly
one of parent and mutant passed, and may give up a mutant as good as its parent, with a stated probability at most.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from autodata.checkpoints.records import DocumentStatus
from autodata.nodes.optimizer.evaluator import Lost, Trial


def score_of(trials: Sequence[Trial]) -> Fraction | None:
    """Return accepted / (documents - errored), exactly; None when every document errored."""
    counted = [trial for trial in trials if trial.status is not DocumentStatus.ERRORED]
    return Fraction(sum(trial.passed for trial in counted), len(counted)) if counted else None


def paired(parent: Sequence[Trial], mutant: Sequence[Trial]) -> tuple[Fraction, Fraction] | None:
    """Return both scores over the documents that errored on neither side; None when there is no such document."""
    both = _both(parent, mutant)
    if not both:
        return None
    return (
        Fraction(sum(one.passed for one, _ in both), len(both)),
        Fraction(sum(other.passed for _, other in both), len(both)),
    )


def _both(parent: Sequence[Trial], mutant: Sequence[Trial]) -> list[tuple[Trial, Trial]]:
    of_parent: Mapping[str, Trial] = {trial.document_id: trial for trial in parent}
    pairs = [(of_parent[trial.document_id], trial) for trial in mutant if trial.document_id in of_parent]
    return [pair for pair in pairs if DocumentStatus.ERRORED not in {pair[0].status, pair[1].status}]


def cannot_win(parent: Sequence[Trial]) -> Lost:
    """Return a test that holds once no outcome of the missing documents makes a mutant win more than it loses.

    What counts is the comparison that decides: `paired`. A missing document can still be won where the parent failed.
    """

    def lost(trials: Sequence[Trial]) -> bool:
        lead = sum(other.passed - one.passed for one, other in _both(parent, trials))
        seen = {trial.document_id for trial in trials}
        missing = (trial for trial in parent if trial.document_id not in seen)
        return lead + sum(trial.status is not DocumentStatus.ERRORED and not trial.passed for trial in missing) <= 0

    return lost


def hardly_wins(parent: Sequence[Trial], batch: int, error: float) -> Lost:
    """Return `cannot_win` together with a one-sided sign test against the parent's trials.

    Were each of the two as likely to win a document that they differ on, the test would stop the mutant with a
    probability of `error` at most, over all looks together (each look gets an equal share).
    """
    exact = cannot_win(parent)
    share = error / max(1, math.ceil(len(parent) / batch) - 1)

    def lost(trials: Sequence[Trial]) -> bool:
        if exact(trials):
            return True
        both = _both(parent, trials)
        wins = sum(other.passed and not one.passed for one, other in both)
        losses = sum(one.passed and not other.passed for one, other in both)
        return at_least(losses, wins + losses) <= share

    return lost


def at_least(k: int, n: int) -> float:
    """Return the probability of `k` heads or more in `n` tosses of a fair coin."""
    heads: int = sum(math.comb(n, i) for i in range(k, n + 1))
    return heads / 2.0**n
