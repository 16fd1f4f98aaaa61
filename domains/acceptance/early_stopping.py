"""Whether bounds on scores are settled before all attempts are made: whatever the missing ones score, one outcome.

An outcome is that all limits hold, or the failure mode of the first that does not, in their order. Scores are exact and
lie anywhere in 0..1. The work is done in whole numbers: scores and bounds are multiples of a large one, and 1 stands
for as little as one likes, so that `<` and `<=` are both closed intervals.
"""

from __future__ import annotations

import math
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

    @property
    def number(self) -> Fraction:
        """The number that the figure itself is held against."""
        return self.bound.number + (self.over or 0)

    def check(self, solver: str, scores: Sequence[Fraction]) -> Check:
        """Hold the limit against the scores of all planned attempts."""
        found = mean(scores) if self.what == "mean" else max(scores) if self.what == "best" else min(scores)
        figure = found - (self.over or 0)
        name = f"{solver} {self.what}" if self.over is None else "gap"
        return Check(name=name, value=decimal(figure), bound=str(self.bound), passed=self.bound.holds(figure))


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
    attempts early.
    """
    if not curtail or len(scores) >= planned:
        return max(0, planned - len(scores))
    settling = Settling(limits, scores, planned)
    settled, mode = settling.outcome()
    if scores and settled and (mode or passing_counts):
        return 0
    return settling.least(passing_counts=passing_counts)


def judged(
    solver: str, limits: Sequence[Limit], scores: Sequence[Fraction], planned: int
) -> tuple[tuple[Check, ...], Outcome]:
    """Return the checks of a settled stage, and how it fails, if it does.

    Before all attempts are made a figure is a range, and a check that the missing ones could turn is left out. Where
    no check fails for sure, for only all of them together cannot hold, those of the failure mode are told as failed.
    """
    missing = max(0, planned - len(scores))
    if not missing:
        checks = tuple(limit.check(solver, scores) for limit in limits)
        return checks, next((limit.mode for limit, check in zip(limits, checks, strict=True) if not check.passed), None)
    mode = Settling(limits, scores, planned).outcome()[1]
    sure: list[tuple[Check, Check]] = []
    open_ones: list[tuple[Check, Check]] = []
    failed = False
    for limit in limits:
        low, high = (limit.check(solver, [*scores, *[end] * missing]) for end in _ENDS)
        if low.passed is high.passed:
            sure.append((low, high))
            failed |= limit.mode is mode and not low.passed
        elif limit.mode is mode:
            open_ones.append((low.model_copy(update={"passed": False}), high))
    told = sure if mode is None or failed else [*sure, *open_ones]
    return tuple(_ranged(low, high, len(scores), planned) for low, high in told), mode


def _ranged(low: Check, high: Check, made: int, planned: int) -> Check:
    value = low.value if low.value == high.value else f"{low.value} to {high.value}"
    return low.model_copy(update={"value": f"{value} ({made} of {planned} attempts)"})


@dataclass(frozen=True, slots=True)
class _Made:
    """What is known of the attempts made: all that the outcome depends on."""

    total: int
    best: int
    zero: bool
    missing: int


class Settling:
    """Limits on the attempts of one solver, of which `planned` are to be made."""

    def __init__(self, limits: Sequence[Limit], scores: Sequence[Fraction], planned: int) -> None:
        fractions = [*scores, *(limit.number for limit in limits)]
        eps = 4 * (planned + 2)
        self._one = eps * math.lcm(*(fraction.denominator for fraction in fractions), 1)
        self._limits = [(limit, self._closed(limit, planned)) for limit in limits]
        values = [score.numerator * (self._one // score.denominator) for score in scores]
        self._made = _Made(sum(values), max(values, default=-1), 0 in values, planned - len(values))

    def _closed(self, limit: Limit, planned: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return a limit as a closed interval of the figure, or of the total for a mean, and what breaks it."""
        number = limit.number
        at = number.numerator * (self._one // number.denominator) * (planned if limit.what == "mean" else 1)
        far = 2 * planned * self._one + abs(at)
        sign = limit.bound.sign
        below, above = (-far, at - (sign in {"<", ">="})), (at + (sign in {"<=", ">"}), far)
        return (below, above) if sign.startswith("<") else (above, below)

    def outcome(self) -> tuple[bool, Outcome]:
        """Return whether it is settled, and if so how."""
        found = self._outcomes(self._made)
        return len(found) == 1, next(iter(found))

    def least(self, *, passing_counts: bool) -> int:
        """Return the least number of further attempts that could settle it; all that are missing if fewer cannot.

        Without `passing_counts` only a failure ends the attempts early. A number may be too high where it takes
        attempts that differ among themselves; it is never too low.
        """
        made = self._made
        for more in range(1, made.missing):
            for total in self._telling(more):
                best = max(made.best, -(-total // more))
                after = _Made(made.total + total, best, made.zero or total == 0, made.missing - more)
                found = self._outcomes(after)
                if len(found) == 1 and (passing_counts or found != {None}):
                    return more
        return made.missing

    def _telling(self, more: int) -> list[int]:
        """Return totals of further attempts at which something can change: the ends, and what reaches a bound."""
        made, most = self._made, more * self._one
        totals = [most, 0]
        for limit, ends in self._limits:
            for end in {end for interval in ends for end in interval}:
                if limit.what == "mean":
                    totals += [end - made.total, end - made.total - (made.missing - more) * self._one]
                else:
                    totals.append(end * more)
        return [total for total in dict.fromkeys(totals) if 0 <= total <= most]

    def _outcomes(self, made: _Made) -> set[Outcome]:
        """Return outcomes that the missing attempts can bring about; not all of them once there are two."""
        found: set[Outcome] = set()
        kept: list[tuple[Limit, tuple[int, int]]] = []
        for limit, (holds, breaks) in self._limits:
            if limit.mode not in found and self._possible(made, [*kept, (limit, breaks)], limit):
                found.add(limit.mode)
            kept.append((limit, holds))
            if len(found) > 1:
                return found
        if self._possible(made, kept, None):
            found.add(None)
        return found

    def _possible(self, made: _Made, intervals: Sequence[tuple[Limit, tuple[int, int]]], broken: Limit | None) -> bool:
        """Whether some scores of the missing attempts put every figure into its interval.

        The missing ones lie in [low, high] each; one of them may have to reach the best, and one to be zero.
        """
        best_low, best_high, low, missing, needs_zero = -1, self._one, 0, made.missing, False
        mean_low, mean_high = 0, made.total + missing * self._one
        for limit, (start, end) in intervals:
            if limit.what == "mean":
                mean_low, mean_high = max(mean_low, start), min(mean_high, end)
            elif limit.what == "best":
                best_low, best_high = max(best_low, start), min(best_high, end)
            elif limit is broken:
                needs_zero = not made.zero
            elif made.zero:
                return False
            else:
                low = 1
        best = made.best
        if needs_zero:
            missing, best = missing - 1, max(best, 0)
        needs_best = best < best_low
        reached = max(best_low, low)
        if best > best_high or missing < needs_best or (missing and low > best_high):
            return False
        if needs_best and reached > best_high:
            return False
        total_low = made.total + (missing - 1) * low + reached if needs_best else made.total + missing * low
        total_high = made.total + missing * best_high
        return max(total_low, mean_low) <= min(total_high, mean_high)
