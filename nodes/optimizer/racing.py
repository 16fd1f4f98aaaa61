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


def cannot_win(parent: Fraction, documents: int) -> Lost:
    """Return a test that holds once no outcome of the missing documents lifts the score above the parent's."""

    def lost(trials: Sequence[Trial]) -> bool:
        errored = sum(trial.status is DocumentStatus.ERRORED for trial in trials)
        if documents == errored:
            return False
        missing = documents - len(trials)
        reachable = Fraction(sum(trial.passed for trial in trials) + missing, documents - errored)
        return reachable <= parent

    return lost


def hardly_wins(parent: Sequence[Trial], documents: int, wave: int, error: float) -> Lost:
    """Return `cannot_win` together with a one-sided sign test against the parent's trials.

    Were each of the two as likely to win a document that they differ on, the test would stop the mutant with a
    probability of `error` at most, over all looks together (each look gets an equal share).
    """
    of_parent: Mapping[str, Trial] = {trial.document_id: trial for trial in parent}
    score = score_of(parent)
    exact = cannot_win(score if score is not None else Fraction(0), documents)
    share = error / max(1, math.ceil(documents / wave) - 1)

    def lost(trials: Sequence[Trial]) -> bool:
        if exact(trials):
            return True
        wins = losses = 0
        for trial in trials:
            other = of_parent.get(trial.document_id)
            if other is None or DocumentStatus.ERRORED in (trial.status, other.status):
                continue
            wins += trial.passed and not other.passed
            losses += other.passed and not trial.passed
        return at_least(losses, wins + losses) <= share

    return lost


def at_least(k: int, n: int) -> float:
    """Return the probability of `k` heads or more in `n` tosses of a fair coin."""
    heads: int = sum(math.comb(n, i) for i in range(k, n + 1))
    return heads / 2.0**n
