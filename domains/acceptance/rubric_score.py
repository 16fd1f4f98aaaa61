"""Rubric arithmetic: exact, and the only place where marks become a score (rule 1)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

from autodata.checkpoints.records import RubricFigures

_OWN_NUMBER = re.compile(
    r"(?:[-*\u2022]\s|(?:criterion|item|point|no\.?)?\s{0,3}#?\s{0,3}"
    r"(?:\d{1,3}\s{0,3}[.):]|[(\[]\d{1,3}[)\]][.:]?)(?=\s|[^\W\d]))\s*",
    re.IGNORECASE,
)


def one_line(criterion: str) -> str:
    """Return a criterion as it stands in a numbered list: on one line, without a number of its own before it.

    The list's numbers are those that a judge answers with: a second one would shift marks to other weights.
    """
    whole = " ".join(criterion.split())
    text = whole
    while (own := _OWN_NUMBER.match(text)) and own.end() < len(text):
        text = text[own.end() :]
    return text


def rubric_score(weights: Sequence[int], met: Sequence[bool]) -> Fraction:
    """Return `clip(sum(w_i * met_i) / sum(w_i for w_i > 0), 0, 1)`, exactly (paper, sections 3 and 4).

    A negative criterion is met when the bad behaviour is present, and so lowers the score. Raises ValueError when the
    lengths differ or no weight is positive.
    """
    reachable = sum(weight for weight in weights if weight > 0)
    if reachable <= 0:
        raise ValueError("a rubric needs at least one positive weight")
    earned = sum(weight for weight, is_met in zip(weights, met, strict=True) if is_met)
    return max(Fraction(0), Fraction(earned, reachable))  # never above 1: nobody earns more than is within reach


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
