"""Intervals of a mean over documents, by Student's t: quick, so that a status can have them at every look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from statistics import fmean, stdev

from autodata.corpus.bootstrap import CONFIDENCE, Figure


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Figure:
    """Return the mean with its interval; without bounds for one value, and nothing for none.

    The interval is of the mean that values drawn in the same way have: of other documents, of the same run again.
    """
    if len(values) < 2:
        return Figure(values[0] if values else None)
    middle = fmean(values)
    reach = students_t(1 - (1 - confidence) / 2, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Figure(middle, middle - reach, middle + reach)


@cache
def students_t(share: float, degrees: int) -> float:
    """Return the quantile of Student's t for a `share` from 0.5 to below 1 and `degrees` of freedom from 1.

    The distribution is Abramowitz and Stegun's, 26.7.3 and 26.7.4, which is exact, and is turned round by bisection.
    """
    low, high = 0.0, 1.0
    while _within(high, degrees) < 2 * share - 1:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < 2 * share - 1 else (low, middle)
    return high


def _within(t: float, degrees: int) -> float:
    """Return the probability that a value by Student's t lies within -t and t."""
    angle = math.atan(t / math.sqrt(degrees))
    square = math.cos(angle) ** 2
    odd = degrees % 2
    term = math.cos(angle) if odd else 1.0
    total = term if degrees > 1 else 0.0
    for n in range(2 + odd, degrees - 1, 2):
        term *= square * (n - 1) / n
        total += term
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total
