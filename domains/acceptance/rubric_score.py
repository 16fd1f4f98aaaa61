"""Rubric arithmetic: exact, and the only place where marks become a score (law 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from autodata.checkpoints.records import RubricFigures


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


def variance(scores: Sequence[Fraction]) -> Fraction:
    """Return the exact mean of the squared distances from the mean, of at least one score: these are all there are."""
    middle = mean(scores)
    return mean([(score - middle) ** 2 for score in scores])


def std_points(scores: Sequence[Fraction]) -> float:
    """Return the standard deviation of at least one score in points, hundredths of a score."""
    return 100 * math.sqrt(variance(scores))


def rubric_figures(weights: Sequence[int]) -> RubricFigures:
    """Return how large a rubric is and how much can be earned with it."""
    positive = [weight for weight in weights if weight > 0]
    return RubricFigures(items=len(weights), positive_items=len(positive), positive_total=sum(positive))


def count_problems(weights: Sequence[int], limits: Mapping[str, int]) -> list[str]:
    """Return which of a prompt's limits on the numbers of items a rubric breaks: `items`, `positive`, `negative`."""
    positive, negative = sum(weight > 0 for weight in weights), sum(weight < 0 for weight in weights)
    counts = {"items": len(weights), "positive": positive, "negative": negative}
    return [
        f"the rubric has {counts[what]} {'' if what == 'items' else f'{what} '}items, {bound} {limit} allowed"
        for what in counts
        for bound, limit, wrong in (
            ("at least", limits.get(f"{what}_min", 0), counts[what] < limits.get(f"{what}_min", 0)),
            ("at most", limits.get(f"{what}_max", 99), counts[what] > limits.get(f"{what}_max", 99)),
        )
        if wrong
    ]
