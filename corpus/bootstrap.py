"""Bootstrap intervals over documents, in plain Python: seeded, so that the same ledger gives the same figures."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

RESAMPLES = 2000
CONFIDENCE = 0.95

Columns = Mapping[str, Sequence[float]]
"""Named columns with one entry for each document."""


@dataclass(frozen=True)
class Ratio:
    """The sum of one column over the sum of another: a mean, a share or a rate."""

    above: str
    below: str


@dataclass(frozen=True)
class Median:
    """The median of a column over the documents whose entry in `among` is not 0."""

    column: str
    among: str


@dataclass(frozen=True)
class Figure:
    """A figure with the bounds of its 95 % interval. All None: nothing to count; bounds None: one document, or none."""

    value: float | None
    low: float | None = None
    high: float | None = None


def estimate(columns: Columns, wanted: Mapping[str, Ratio | Median], seed: int = 0) -> dict[str, Figure]:
    """Return every figure with its percentile interval over `RESAMPLES` samples of whole documents.

    A sample in which a figure's denominator is 0 says nothing about it and is left out of its interval.
    """
    count = max((len(column) for column in columns.values()), default=0)
    if not count:
        return dict.fromkeys(wanted, Figure(None))
    whole = _evaluate(columns, wanted, range(count))
    spread: dict[str, list[float]] = {name: [] for name in wanted}
    if count > 1:
        rng = random.Random(seed)  # noqa: S311 - a reproducible sample, not a secret
        known = {name: figure for name, figure in wanted.items() if whole[name] is not None}
        # Most failures never come: what is 0 in every document is 0 in every sample of them, and need not be drawn.
        for name, figure in [*known.items()]:
            if isinstance(figure, Ratio) and not any(columns[figure.above]):
                spread[name] = [0.0]
                del known[name]
        for _ in range(RESAMPLES):
            for name, value in _evaluate(columns, known, rng.choices(range(count), k=count)).items():
                if value is not None:
                    spread[name].append(value)
    return {name: Figure(whole[name], *_interval(spread[name])) for name in wanted}


def _evaluate(columns: Columns, wanted: Mapping[str, Ratio | Median], picked: Sequence[int]) -> dict[str, float | None]:
    sums: dict[str, float] = {}

    def total(name: str) -> float:
        if name not in sums:
            sums[name] = sum(map(columns[name].__getitem__, picked))
        return sums[name]

    values: dict[str, float | None] = {}
    for name, figure in wanted.items():
        if isinstance(figure, Ratio):
            below = total(figure.below)
            values[name] = total(figure.above) / below if below else None
        else:
            column, among = columns[figure.column], columns[figure.among]
            found = [column[k] for k in picked if among[k]]
            values[name] = median(found) if found else None
    return values


def _interval(values: list[float]) -> tuple[float | None, float | None]:
    if not values:
        return None, None
    values.sort()
    tail = (1 - CONFIDENCE) / 2
    low, high = (round(share * (len(values) - 1)) for share in (tail, 1 - tail))
    return values[low], values[high]
