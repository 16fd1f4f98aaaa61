"""Whether bounds on scores are settled before all attempts are made: whatever the missing ones score, one outcome.

An outcome is that all limits hold, or the failure mode of the first that does not, in their order. A limit is held
against the scores with the missing ones all 0 and then all 1: where both answers are the same, it is settled.

That is asked of each limit by itself, not of the whole policy. Mean, best and worst never fall when a score rises, so
one limit is monotone: it turns at most once between the two ends. A policy is not, when it bounds a figure from below
and from above: a gap between 0.2 and 0.8 fails with all missing scores 0 and with all 1, for one and the same reason,
and holds between. What limits rule out only together is not seen; such a stage is made whole, and its verdict is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from autodata.checkpoints.records import Check, FailureMode
from autodata.domains.acceptance.bounds import Bound, Bounds, decimal
from autodata.domains.acceptance.rubric_score import mean

Outcome = FailureMode | None
"""None: every limit holds."""

What = Literal["mean", "best", "worst"]
_ENDS = (Fraction(0), Fraction(1))


@dataclass(frozen=True)
class Limit:
    """One bound on the mean of a solver's planned attempts, on the best of them, or on the worst (`> 0` alone)."""

    what: What
    bound: Bound
    mode: FailureMode
    """How a round fails that breaks it."""
    over: Fraction | None = None
    """The weak mean, where the bound is one on the strong mean's distance from it."""

    def check(self, solver: str, scores: Sequence[Fraction]) -> Check:
        """Hold the limit against the scores of all planned attempts."""
        name = f"{solver} {self.what}" if self.over is None else "gap"
        return Check(name=name, value=decimal(self._figure(scores)), bound=str(self.bound), passed=self.holds(scores))

    def holds(self, scores: Sequence[Fraction]) -> bool:
        """Whether the scores of all planned attempts keep within the limit."""
        return self.bound.holds(self._figure(scores))

    def _figure(self, scores: Sequence[Fraction]) -> Fraction:
        found = mean(scores) if self.what == "mean" else max(scores) if self.what == "best" else min(scores)
        return found - (self.over or 0)


def limits_of(
    what: What, bounds: Bounds, high: FailureMode, low: FailureMode, over: Fraction | None = None
) -> list[Limit]:
    """Return a limit for each bound; the failure mode says whether a figure was too high or too low for it."""
    return [Limit(what, bound, high if bound.sign.startswith("<") else low, over) for bound in bounds]


def unsettled(
    limits: Sequence[Limit], scores: Sequence[Fraction], planned: int, curtail: bool, *, passing_counts: bool = True
) -> int:
    """Return how many attempts to make next; 0 when all are made or, curtailed, when the outcome is settled.

    One attempt is made in any case: a verdict rests on something. Without `passing_counts` only a failure ends the
    attempts early. The number is the least that could settle it, or less where no scores settle all limits at once;
    it is never more, so no attempt is paid for that could have been spared.
    """
    missing = max(0, planned - len(scores))
    if not curtail or not missing:
        return missing
    found = _outcomes(limits, scores, missing)
    if scores and len(found) == 1 and (passing_counts or found != {None}):
        return 0
    could = (more for more in range(1, missing) if _could_settle(limits, scores, more, missing - more, passing_counts))
    return next(could, missing)


def judged(
    solver: str, limits: Sequence[Limit], scores: Sequence[Fraction], planned: int
) -> tuple[tuple[Check, ...], Outcome]:
    """Return the checks of a settled stage, and how it fails, if it does.

    Before all attempts are made a figure is a range, and a check that the missing ones could turn is left out.
    """
    missing = max(0, planned - len(scores))
    checks: list[Check] = []
    mode: Outcome = None
    for limit in limits:
        low, high = (limit.check(solver, [*scores, *[end] * missing]) for end in _ENDS)
        if low.passed is not high.passed:
            continue
        checks.append(_ranged(low, high, len(scores), planned) if missing else low)
        mode = mode or (None if low.passed else limit.mode)
    return tuple(checks), mode


def _ranged(low: Check, high: Check, made: int, planned: int) -> Check:
    value = low.value if low.value == high.value else f"{low.value} to {high.value}"
    return low.model_copy(update={"value": f"{value} ({made} of {planned} attempts)"})


def _sure(limit: Limit, scores: Sequence[Fraction], missing: int) -> bool | None:
    """Return whether a limit holds whatever the missing attempts score; None where they decide it."""
    low, high = (limit.holds([*scores, *[end] * missing]) for end in _ENDS)
    return low if low is high else None


def _outcomes(limits: Sequence[Limit], scores: Sequence[Fraction], missing: int) -> set[Outcome]:
    """Return all outcomes that the missing attempts can bring about, and maybe some that they cannot."""
    found: set[Outcome] = set()
    for limit in limits:
        sure = _sure(limit, scores, missing)
        if sure is not True:
            found.add(limit.mode)
        if sure is False:
            return found
    return found | {None}


def _could_settle(
    limits: Sequence[Limit], scores: Sequence[Fraction], more: int, missing: int, passing_counts: bool
) -> bool:
    """Whether so many further attempts could settle it: each limit looked at by itself, all of them 0 or all 1."""
    open_modes: set[FailureMode] = set()
    for limit in limits:
        answers = {_sure(limit, [*scores, *[end] * more], missing) for end in _ENDS}
        if False in answers and open_modes <= {limit.mode}:
            return True
        if True not in answers:
            open_modes.add(limit.mode)
    return passing_counts and not open_modes
