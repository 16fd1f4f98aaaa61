"""What adaptive stopping rests on: a run's finished candidates, and a prior until there are enough of them.

The lowest chance with which a candidate goes on is set so that at most a stated share of acceptances is lost. Of every
accepted candidate the lowest chance that it had on its way is known; the bound is that share's quantile of them. Some
candidates are walked to the end whatever their chance, by lot: those among them that would have been stopped, and were
accepted all the same, count for all that were stopped and never seen to the end. Candidates drawn from the fitted
distributions give a bound too, which holds alone until a run has accepted some; of both the lower one counts.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from autodata.checkpoints.records import Decision
from autodata.domains.acceptance.adaptive import MOST_TRIALS, Fit, Level, Scores, adaptive_ruling, chance
from autodata.domains.acceptance.policies import AcceptancePolicy, Planned, Thresholds

PRIOR_CANDIDATES = 20
"""How many of the run's own candidates the prior of each distribution weighs as much as."""
DRAWN = 200
"""Accepted candidates that are drawn from a fit for the bound."""
MOST_DRAWS = 4_000
"""Candidates drawn at most to have them."""

PRIOR_RUBRIC = (Level(0.68, 0.05, 0.5), Level(0.70, 0.05, 0.5))
"""Weak and strong where scores are bounded by thresholds: the means of one-shot questions as the paper has them
(section 3); it gives no spreads, so these are wide guesses."""
PRIOR_COUNTS = (Level(0.5, 0.25, 2 / 3), Level(0.6, 0.24, 2 / 3))
"""Where right attempts are counted: about any share of them right alike."""
PRIOR_PASSING = 0.58
"""Of the candidates that pass the weak gate, the accepted share: 13 in 100 failures are of the strong solver at 5.59
failures an accepted one (paper, section 3)."""


@dataclass(frozen=True)
class Finished:
    """A candidate whose round was decided: its scores in order of the attempts, and how they were come by."""

    weak: Scores
    strong: Scores
    walked: bool
    """Whether all attempts were made by lot, whatever its chance was."""
    would_stop: bool
    """Whether it would have been stopped, had it not been walked."""
    accepted: bool
    """Whether the policy accepted it."""


def fitted(
    policy: AcceptancePolicy, planned: Planned, finished: Sequence[Finished], *, error: float, walked: float
) -> Fit:
    """Return the fit to the finished candidates. `error` is the share of acceptances that may be lost, in 0..1.

    `walked` is the share of candidates that are walked to the end. The same candidates give the same fit.
    """
    prior = PRIOR_RUBRIC if isinstance(policy, Thresholds) else PRIOR_COUNTS
    passed = [one for one in finished if one.strong]
    accepted = [one for one in finished if one.accepted]
    fit = Fit(
        weak=_level([(one.weak, one.walked) for one in finished if one.weak], planned.weak, prior[0]),
        strong=_level([(one.strong, one.walked) for one in passed], planned.strong, prior[1]),
        passing=(len(accepted) + PRIOR_PASSING * PRIOR_CANDIDATES) / (len(passed) + PRIOR_CANDIDATES),
        least=0.0,
        candidates=len(finished),
        accepted=len(accepted),
    )
    own = [
        (_lowest(policy, one.weak, one.strong, planned, fit), 1 / walked if one.would_stop else 1.0) for one in accepted
    ]
    drawn = [(_lowest(policy, *one, planned, fit), 1.0) for one in _drawn(policy, planned, fit)]
    bounds = [_quantile(weighed, error) for weighed in (own, drawn) if weighed]
    return replace(fit, least=min(bounds, default=0.0))


def would_stop(
    policy: AcceptancePolicy, weak: Sequence[Fraction], strong: Sequence[Fraction], planned: Planned, fit: Fit
) -> bool:
    """Whether a candidate with all these scores would have been rejected before its last attempt, in their order.

    True also where exact stopping would have rejected it: such a candidate is never accepted.
    """
    prefixes = [(weak[:k], strong[:0]) for k in range(1, planned.weak)]
    prefixes += [(weak, strong[:k]) for k in range(1, planned.strong) if strong]
    return any(adaptive_ruling(policy, *made, planned, fit).decision is Decision.REJECT for made in prefixes)


def _level(tried: Sequence[tuple[Scores, bool]], planned: int, prior: Level) -> Level:
    """Return mean and variance of the first attempts, which every candidate has, and the share within candidates.

    The latter is taken from candidates that were walked alone: who else has all attempts depends on how they came out.
    """
    first = [float(scores[0]) for scores, _ in tried]
    weight = PRIOR_CANDIDATES + len(first)
    mean = (prior.mean * PRIOR_CANDIDATES + sum(first)) / weight
    spread = (prior.variance + (prior.mean - mean) ** 2) * PRIOR_CANDIDATES + sum((x - mean) ** 2 for x in first)
    inside = [_variance(scores) for scores, walked in tried if walked and len(scores) == planned > 1]
    within = prior.variance * prior.within * PRIOR_CANDIDATES + sum(inside)
    variance = spread / weight
    share = within / (PRIOR_CANDIDATES + len(inside)) / variance if variance else prior.within
    return Level(round(mean, 6), round(variance, 6), round(min(0.98, share), 6))


def _variance(scores: Iterable[Fraction]) -> float:
    """Return the unbiased variance of at least two scores."""
    values = [float(score) for score in scores]
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _lowest(policy: AcceptancePolicy, weak: Scores, strong: Scores, planned: Planned, fit: Fit) -> float:
    """Return the lowest chance that an accepted candidate had on its way."""
    looks = [(weak[:k], strong[:0]) for k in range(1, planned.weak)]
    looks += [(weak, strong[:k]) for k in range(1, planned.strong)]
    return min((chance(policy, *made, planned, fit)[0] for made in looks), default=1.0)


def _drawn(policy: AcceptancePolicy, planned: Planned, fit: Fit) -> list[tuple[Scores, Scores]]:
    """Return accepted candidates drawn from a fit, the same for the same fit."""
    rng = random.Random(repr(fit))  # noqa: S311 - no secret: the same fit must draw the same
    found: list[tuple[Scores, Scores]] = []
    for _ in range(MOST_DRAWS):
        weak = _scores(fit.weak, planned.weak, rng)
        if policy.rule(weak, (), planned).decision is Decision.REJECT:
            continue
        strong = _scores(fit.strong, planned.strong, rng)
        if policy.rule(weak, strong, planned).decision is Decision.ACCEPT:
            found.append((weak, strong))
            if len(found) == DRAWN:
                break
    return found


def _scores(level: Level, planned: int, rng: random.Random) -> Scores:
    p, per = rng.betavariate(*level.beta), min(MOST_TRIALS, round(level.trials))
    return tuple(Fraction(sum(rng.random() < p for _ in range(per)), per) for _ in range(planned))


def _quantile(weighed: Sequence[tuple[float, float]], share: float) -> float:
    """Return the highest bound below which no more than a share of the weight lies; 0 where there is none."""
    allowed, below = share * sum(weight for _, weight in weighed), 0.0
    for low, weight in sorted(weighed):
        below += weight
        if below > allowed:
            return low
    return 0.0


def due(finished: int) -> int:
    """Return on how many of so many finished candidates the fit rests: it is renewed in steps that grow with them.

    The steps are fixed, so that a run that was cut off and goes on has the fit that it would have had.
    """
    rests_on = 0
    while (following := rests_on + max(10, rests_on // 4)) <= finished:
        rests_on = following
    return rests_on
