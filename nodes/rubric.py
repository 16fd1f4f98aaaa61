"""Rubric arithmetic: exact, and the only place where marks become a score (law 1)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def rubric_score(weights: Sequence[int], met: Sequence[bool]) -> Fraction:
    """Return `clip(sum(w_i * met_i) / sum(w_i for w_i > 0), 0, 1)`, exactly (paper, sections 3 and 4).

    A negative criterion is met when the bad behaviour is present, and so lowers the score. Raises ValueError when the
    lengths differ or no weight is positive.
    """
    reachable = sum(weight for weight in weights if weight > 0)
    if reachable <= 0:
        raise ValueError("a rubric needs at least one positive weight")
    earned = sum(weight for weight, is_met in zip(weights, met, strict=True) if is_met)
    return min(Fraction(1), max(Fraction(0), Fraction(earned, reachable)))


def mean(scores: Sequence[Fraction]) -> Fraction:
    """Return the exact mean of at least one score."""
    return sum(scores, Fraction(0)) / len(scores)
