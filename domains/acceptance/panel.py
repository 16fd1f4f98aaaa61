"""From several judges' findings on one attempt to one: by criterion, with how far they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from autodata.domains.acceptance.rubric_score import mean, rubric_score
from autodata.domains.tasks.base import Scored


@dataclass(frozen=True)
class Agreed:
    """What several findings come to."""

    scored: Scored
    doubtful: tuple[int, ...] = ()
    """The criteria, from 0, that the findings differ on."""


def agreed(
    findings: Sequence[Scored], criteria: Sequence[tuple[str, int]], rule: Literal["majority", "mean"]
) -> Agreed:
    """Return one finding for several on the same criteria, at least one; every split is said in the reason.

    By `majority` a criterion is met when more than half say so; by `mean` the score counts the share that does, and
    `met` is the majority all the same. A score that is no sum of weights, as that of a task type of one's own may be,
    is the mean of theirs by `mean`, and by `majority` the lower median.
    """
    first = findings[0]
    if len(findings) == 1:
        return Agreed(first)
    votes = list(zip(*(one.met for one in findings), strict=True))
    shares = [Fraction(sum(vote), len(vote)) for vote in votes]
    met = tuple(share > Fraction(1, 2) for share in shares)
    doubtful = tuple(k for k, share in enumerate(shares) if share not in {0, 1})
    reasons = tuple(
        _reason(findings, k, met[k], shares[k])
        for k in range(len(met))
        if any(len(one.reasons) > k for one in findings)
    )
    return Agreed(
        Scored(_score(findings, [weight for _, weight in criteria], met, shares, rule), met, reasons), doubtful
    )


def escalated(found: Agreed, larger: Scored, criteria: Sequence[tuple[str, int]]) -> Scored:
    """Return a finding with the larger judge's in place of the doubtful ones; all of it where nothing else adds up."""
    scored = found.scored
    met = tuple(larger.met[k] if k in found.doubtful else is_met for k, is_met in enumerate(scored.met))
    reasons = tuple(
        f"the larger judge: {larger.reasons[k]}" if k in found.doubtful and k < len(larger.reasons) else reason
        for k, reason in enumerate(scored.reasons)
    )
    weights = [weight for _, weight in criteria]
    if not _adds_up([larger], weights):
        return Scored(larger.score, larger.met, larger.reasons)
    return Scored(rubric_score(weights, met), met, reasons)


def _score(
    findings: Sequence[Scored],
    weights: Sequence[int],
    met: Sequence[bool],
    shares: Sequence[Fraction],
    rule: Literal["majority", "mean"],
) -> Fraction:
    if not _adds_up(findings, weights):
        scores = sorted(one.score for one in findings)
        return mean(scores) if rule == "mean" else scores[(len(scores) - 1) // 2]
    if rule == "majority":
        return rubric_score(weights, met)
    reachable = sum(weight for weight in weights if weight > 0)
    earned = sum((weight * share for weight, share in zip(weights, shares, strict=True)), Fraction(0))
    return min(Fraction(1), max(Fraction(0), earned / reachable))


def _adds_up(findings: Sequence[Scored], weights: Sequence[int]) -> bool:
    """Whether each finding's score is the one that its criteria give."""
    if not any(weight > 0 for weight in weights) or any(len(one.met) != len(weights) for one in findings):
        return False
    return all(one.score == rubric_score(weights, one.met) for one in findings)


def _reason(findings: Sequence[Scored], k: int, met: bool, share: Fraction) -> str:
    """Return the reason of the first judge who found what was agreed, with the split before it where there is one."""
    said = next((one.reasons[k] for one in findings if one.met[k] is met and k < len(one.reasons)), "")
    if share in {0, 1}:
        return said
    yes = share.numerator * (len(findings) // share.denominator)
    return f"[{yes} of {len(findings)} findings: met] {said}"
