"""Intervals of a mean over documents, by Student's t: quick, so that a status can have them at every look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev

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


def students_t(share: float, degrees: int) -> float:
    """Return the quantile of Student's t, by the expansion of Abramowitz and Stegun, 26.7.5 (within 0.04 from 2 on)."""
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    found: float = z + sum(term / degrees**k for k, term in enumerate(terms, 1))
    return found
