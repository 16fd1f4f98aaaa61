"""Adaptive stopping: a candidate that will most likely fail gets no further attempts.

A candidate's chance of acceptance is worked out from the scores of the attempts made so far. An attempt's score is
taken for a share of successes in `trials` trials, whose probability differs between candidates as a beta distribution:
one trial for answers that are right or wrong, several for a rubric. The distributions are a run's own
(`adaptive_fit.py`). What is missing is completed in every way that they allow, and the acceptance policy itself is
asked about each completion. So the rule holds for any policy that decides by scores, of a plugin too.

A candidate whose chance falls below `Fit.least` is rejected. Acceptance never comes early: an accepted candidate has
all its attempts, so that its scores, and their means, are what they are without stopping. A failure that is settled
already, whatever the missing attempts score, ends a round as exact stopping has it (`early_stopping.py`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, cast

from autodata.checkpoints.records import Check, Decision, FailureMode, Record, Stage
from autodata.domains.acceptance.bounds import decimal
from autodata.domains.acceptance.policies import AcceptancePolicy, Planned, Ruling

MOST_TRIALS = 8
"""Finest steps in which a missing attempt's score is completed: more take longer and change nothing that counts."""

Scores = tuple[Fraction, ...]


@dataclass(frozen=True)
class Level:
    """How one solver's scores are spread: over candidates, and over the attempts at one of them."""

    mean: float
    """In 0..1."""
    variance: float
    """Of a single score, over all candidates."""
    within: float
    """The share of the variance that lies between attempts at one candidate, in 0..1."""

    @property
    def beta(self) -> tuple[float, float]:
        """The parameters of the beta distribution of candidates' probabilities."""
        mean = min(0.98, max(0.02, self.mean))
        between = min(0.9, max(0.02, self.variance * (1 - self.within) / (mean * (1 - mean))))
        size = 1 / between - 1
        return mean * size, (1 - mean) * size

    @property
    def trials(self) -> float:
        """How many trials an attempt's score counts for: 1 for answers that are right or wrong."""
        a, b = self.beta
        inside = a * b / ((a + b) * (a + b + 1))  # the mean of p (1 - p)
        return min(50.0, max(1.0, inside / max(1e-6, self.variance * self.within)))


@dataclass(frozen=True)
class Fit:
    """What adaptive stopping knows when a round begins. It is recorded with the round, which keeps to it."""

    weak: Level
    strong: Level
    """Of candidates that passed the weak gate."""
    passing: float
    """The share of those that passed it which are accepted."""
    least: float
    """The lowest chance of acceptance with which a candidate goes on."""
    candidates: int = 0
    """How many candidates of the run itself it rests on; the rest is the prior."""
    accepted: int = 0
    """How many of these were accepted."""


class Basis(Record):
    """What stopping goes by at one candidate, as its round records it: what decided once decides so ever after."""

    candidate_id: str
    walked: bool
    """Whether all attempts are made by lot, whatever its chance is."""
    fit: Fit


def adaptive_ruling(
    policy: AcceptancePolicy, weak: Sequence[Fraction], strong: Sequence[Fraction], planned: Planned, fit: Fit
) -> Ruling:
    """Answer what comes next, as a policy does, and reject a candidate once its chance is below `fit.least`.

    No stage is left without an attempt. Where a single further attempt could end the round, one is asked for, else as
    many as could.
    """
    soon = policy.rule(weak, strong, replace(planned, curtail=True))
    if soon.decision is Decision.REJECT:
        return soon
    whole = policy.rule(weak, strong, replace(planned, curtail=False))
    if whole.decision not in {Decision.MORE, Decision.STRONG}:
        return whole
    made = _stage(weak, strong, planned)
    if made and (stopped := _stopped(policy, tuple(weak), tuple(strong), planned, fit)):
        return stopped
    stage = Stage.STRONG if whole.decision is Decision.STRONG else whole.stage
    return replace(whole, more=_batch(policy, tuple(weak), tuple(strong), planned, fit, stage, whole.more))


def chance(
    policy: AcceptancePolicy, weak: Scores, strong: Scores, planned: Planned, fit: Fit
) -> tuple[float, FailureMode | None]:
    """Return the chance of acceptance in 0..1, and how the candidate fails most likely.

    Before the weak attempts are whole it is the chance to pass the weak gate times `fit.passing`.
    """
    whole = replace(planned, curtail=False)
    try:
        return _chance(cast("Any", policy), weak, strong, whole, fit)
    except TypeError:  # a plugin's policy that has no hash, so that nothing can be kept
        return _chance.__wrapped__(policy, weak, strong, whole, fit)


@lru_cache(maxsize=8192)
def _chance(
    policy: AcceptancePolicy, weak: Scores, strong: Scores, planned: Planned, fit: Fit
) -> tuple[float, FailureMode | None]:
    of_weak = len(weak) < planned.weak
    level, made = (fit.weak, weak) if of_weak else (fit.strong, strong)
    missing = (planned.weak if of_weak else planned.strong) - len(made)
    passed, failed = 0.0, defaultdict[FailureMode, float](float)
    for share, rest in _completions(level, made, missing):
        ruling = policy.rule((*weak, *rest), (), planned) if of_weak else policy.rule(weak, (*strong, *rest), planned)
        if ruling.decision is Decision.REJECT and ruling.failure_mode:
            failed[ruling.failure_mode] += share
        else:
            passed += share
    mode = max(failed, key=lambda one: failed[one], default=None)
    return passed * (fit.passing if of_weak else 1.0), mode


def _completions(level: Level, made: Scores, missing: int) -> list[tuple[float, Scores]]:
    """Return every way in which the missing attempts may come out, in steps of a trial, with its probability."""
    a, b = level.beta
    total = float(sum(made))
    a, b = a + level.trials * total, b + level.trials * (len(made) - total)
    per = min(MOST_TRIALS, round(level.trials))
    n = per * missing
    found = []
    for right in range(n + 1):
        base, more = divmod(right, missing)
        rest = (*[Fraction(base + 1, per)] * more, *[Fraction(base, per)] * (missing - more))
        ways = math.lgamma(n + 1) - math.lgamma(right + 1) - math.lgamma(n - right + 1)
        found.append((math.exp(ways + _log_beta(a + right, b + n - right) - _log_beta(a, b)), rest))
    return found


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _stage(weak: Sequence[Fraction], strong: Sequence[Fraction], planned: Planned) -> int:
    """Return how many attempts the stage under way has."""
    return len(weak) if len(weak) < planned.weak else len(strong)


def _stopped(policy: AcceptancePolicy, weak: Scores, strong: Scores, planned: Planned, fit: Fit) -> Ruling | None:
    found, mode = chance(policy, weak, strong, planned, fit)
    if found >= fit.least or mode is None:
        return None
    of_weak = len(weak) < planned.weak
    stage, scores, wanted = (Stage.WEAK, weak, planned.weak) if of_weak else (Stage.STRONG, strong, planned.strong)
    mean = sum(scores, Fraction(0)) / len(scores)
    said = f"{decimal(mean)} ({len(scores)} of {wanted} attempts)"
    checks = (
        Check(name=f"{stage.value} mean so far", value=said, bound="", passed=True),
        Check(name="chance of acceptance", value=f"{found:.2g}", bound=f">= {fit.least:.2g}", passed=False),
    )
    return Ruling(Decision.REJECT, stage, checks, mode)


def _batch(
    policy: AcceptancePolicy, weak: Scores, strong: Scores, planned: Planned, fit: Fit, stage: Stage, missing: int
) -> int:
    """Return the least number of further attempts after which the round could be over, were all of them 0 or all 1."""
    soon = replace(planned, curtail=True)
    for more in range(1, missing):
        for end in (Fraction(0), Fraction(1)):
            rest = (end,) * more
            then = ((*weak, *rest), strong) if stage is Stage.WEAK else (weak, (*strong, *rest))
            if policy.rule(*then, soon).decision is Decision.REJECT or _stopped(policy, *then, planned, fit):
                return more
    return missing
