"""How far findings on the same criteria agree: shares, kappa, the noise behind them, each with an interval.

The unit of every interval is the attempt: findings on the criteria of one attempt are not independent. Kappa of a judge
with itself is Fleiss' (1971), of two raters Scott's pi: the agreement beyond what raters of the same habits would have
by chance. Of two kinds of raters, a judge and people for instance, it is Cohen's (1960): beyond that of raters with
habits of their own.

The formulas are written out here. The libraries that have them bring numpy (73 MB), most of them scipy besides, for a
sum and a quotient, and none draws whole attempts; what one of them makes of the same tables is compared in tests.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from autodata.corpus.bootstrap import CONFIDENCE, Figure

RESAMPLES = 1000

Votes = Sequence[tuple[bool, ...]]
"""Findings on the criteria of one attempt: a tuple a criterion, an entry a finding."""


@dataclass(frozen=True)
class Agreement:
    """How far findings agree."""

    items: int
    """Criteria of all attempts together."""
    agreement: Figure
    """The share of pairs of findings on one criterion that are alike, in 0..1."""
    kappa: Figure
    """Fleiss' kappa, in -1..1; None where every finding is the same, which shows nothing."""
    noise: Figure
    """The share of findings that are wrong, in 0..0.5, if each is wrong on its own with one probability."""


@dataclass(frozen=True)
class Alike:
    """How far two raters agree on the same criteria."""

    findings: int
    """Criteria that both have found something of."""
    agreement: Figure
    """The share on which they say the same, in 0..1."""
    kappa: Figure
    """Cohen's kappa, in -1..1; None where chance alone would make them agree always."""


def alike(attempts: Sequence[Sequence[tuple[bool, bool]]], seed: int = 0) -> Alike:
    """Return how far two raters agree on attempts, of each of which both found something, with intervals."""
    rows = [_pairs(pairs) for pairs in attempts if pairs]
    totals = _resampled(rows, seed)
    return Alike(
        findings=sum(map(len, attempts)),
        agreement=_figure([total[1] / total[0] for total in totals]),
        kappa=_figure([_cohens(total) for total in totals]),
    )


def agreement_of(attempts: Sequence[Votes], seed: int = 0) -> Agreement:
    """Return how far findings agree, with intervals over whole attempts."""
    kept = [votes for votes in attempts if any(len(vote) > 1 for vote in votes)]
    rows = [_sums(votes) for votes in kept]
    totals = _resampled(rows, seed)
    return Agreement(
        items=sum(len(votes) for votes in kept),
        agreement=_figure([_agreement(total) for total in totals]),
        kappa=_figure([_kappa(total) for total in totals]),
        noise=_figure([_noise(total) for total in totals]),
    )


def noise_of(disagreement: float) -> float:
    """Return how often a finding is wrong when two of them differ so often: `d = 2 e (1 - e)`, e at most one half."""
    return (1 - math.sqrt(max(0.0, 1 - 2 * disagreement))) / 2


def share_alike(votes: Votes) -> float | None:
    """Return the share of pairs of findings on one item that are alike; None without any pair."""
    return _agreement(_sums(votes))


def fleiss_kappa(votes: Votes) -> float | None:
    """Return Fleiss' kappa of findings on items, as many on each; None where every finding is the same."""
    return _kappa(_sums(votes))


def _resampled(rows: Sequence[tuple[float, ...]], seed: int) -> list[tuple[float, ...]]:
    """Return the sums of all attempts, then those of samples of whole attempts; nothing without any."""
    totals = [_total(rows)] if rows else []
    if len(rows) > 1:
        rng = random.Random(seed)  # noqa: S311 - a reproducible sample, not a secret
        totals += [_total(rng.choices(rows, k=len(rows))) for _ in range(RESAMPLES)]
    return totals


def _pairs(pairs: Sequence[tuple[bool, bool]]) -> tuple[float, ...]:
    """Return (pairs, those alike, what the first rater found met, what the second did) of one attempt."""
    same = sum(one == other for one, other in pairs)
    return float(len(pairs)), float(same), *(float(sum(pair[k] for pair in pairs)) for k in range(2))


def _cohens(total: tuple[float, ...]) -> float | None:
    n, same, *met = total
    first, second = (count / n for count in met)
    chance = first * second + (1 - first) * (1 - second)
    return None if chance == 1 else (same / n - chance) / (1 - chance)


def _sums(votes: Votes) -> tuple[float, ...]:
    """Return (items, sum of their pairwise agreement, findings that are true, findings) of one attempt."""
    items, alike, yes, findings = 0.0, 0.0, 0.0, 0.0
    for vote in votes:
        if len(vote) < 2:
            continue
        ones, n = sum(vote), len(vote)
        items += 1
        alike += (ones * (ones - 1) + (n - ones) * (n - ones - 1)) / (n * (n - 1))
        yes += ones
        findings += n
    return items, alike, yes, findings


def _agreement(total: tuple[float, ...]) -> float | None:
    return total[1] / total[0] if total[0] else None


def _kappa(total: tuple[float, ...]) -> float | None:
    items, alike, yes, findings = total
    if not items:
        return None
    share = yes / findings
    chance = share**2 + (1 - share) ** 2
    return None if chance == 1 else (alike / items - chance) / (1 - chance)


def _noise(total: tuple[float, ...]) -> float | None:
    alike = _agreement(total)
    return None if alike is None else noise_of(1 - alike)


def _figure(values: Sequence[float | None]) -> Figure:
    """Return the first value, that of all attempts, with the interval of the others, those of samples of them."""
    if not values or values[0] is None:
        return Figure(None)
    drawn = sorted(value for value in values[1:] if value is not None)
    if not drawn:
        return Figure(values[0])
    tail = (1 - CONFIDENCE) / 2
    low, high = (drawn[round(share * (len(drawn) - 1))] for share in (tail, 1 - tail))
    return Figure(values[0], low, high)


def _total(rows: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(map(sum, zip(*rows, strict=True)))
