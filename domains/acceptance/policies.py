"""Acceptance: which pattern of scores makes an example (paper, section 2; design, rules 1 and 8).

A policy is a value. It looks at the exact scores of the attempts made so far and answers what comes next; every
comparison it makes is kept with its numbers. An impossible gate is refused when the policy is built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Protocol, cast

from pydantic import ConfigDict, Field, model_validator

from autodata.checkpoints.records import Check, Decision, FailureMode, Stage
from autodata.checkpoints.registry import Registry
from autodata.domains.acceptance.bounds import Bound, Bounds, decimal, read_bound
from autodata.domains.acceptance.early_stopping import Limit, judged, limits_of, unsettled
from autodata.domains.acceptance.rubric_score import mean
from autodata.models.config import Settings

__all__ = [
    "HALF",
    "PRESETS",
    "AcceptancePolicy",
    "Bound",
    "Bounds",
    "Counts",
    "LoopJudge",
    "Majority",
    "Measure",
    "Planned",
    "Ruling",
    "Thresholds",
    "decimal",
    "read_bound",
]

HALF = Fraction(1, 2)
ABOVE_ZERO = Bound(">", Fraction(0))


@dataclass(frozen=True)
class Planned:
    """How many attempts a domain plans for each solver, and whether it stops once the verdict is settled."""

    weak: int
    strong: int
    curtail: bool = False


@dataclass(frozen=True)
class Ruling:
    """A policy's answer. `more` counts the attempts to make next when the decision is MORE or STRONG: at least one."""

    decision: Decision
    stage: Stage
    checks: tuple[Check, ...] = ()
    failure_mode: FailureMode | None = None
    more: int = 0


class AcceptancePolicy(Protocol):
    """Decides from scores. Implementations are pure: the same scores, the same ruling."""

    @property
    def name(self) -> str:
        """The preset's name, or `custom`."""

    def rule(self, weak: Sequence[Fraction], strong: Sequence[Fraction], planned: Planned) -> Ruling:
        """Answer what comes next for these scores of the attempts made so far, in order of their index."""

    def require_possible(self, planned: Planned) -> None:
        """Raise ValueError, naming the clash, when no scores at all could pass."""


class Thresholds(Settings):
    """Bounds on means, best attempts and the gap. Scores are exact and lie in 0..1."""

    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True, arbitrary_types_allowed=True)

    name: str = "custom"
    weak_mean: Bounds = ()
    weak_best: Bounds = ()
    weak_zeros: bool = True
    """Whether a weak attempt may score 0."""
    strong_mean: Bounds = ()
    strong_zeros: bool = True
    gap: Bounds = ()
    """Bounds on strong mean - weak mean."""

    @model_validator(mode="after")
    def _something_to_check(self) -> Thresholds:
        if not (self.weak_mean or self.strong_mean or self.gap):
            raise ValueError("own thresholds need at least one of weak_mean, strong_mean, gap")
        return self

    def rule(self, weak: Sequence[Fraction], strong: Sequence[Fraction], planned: Planned) -> Ruling:
        """Weak gate first; the strong solver runs only behind it; then the strong and gap gates.

        With `planned.curtail`, a stage stops, after one attempt at least, as soon as its outcome is settled: that it
        passes, or by which failure mode it fails, is then the same whatever the missing attempts score. A weak stage
        that passes is made whole all the same where the gap needs its mean.
        """
        limits = self._of_weak()
        if more := unsettled(limits, weak, planned.weak, planned.curtail, passing_counts=not self.gap):
            return Ruling(Decision.MORE, Stage.WEAK, more=more)
        checks, mode = judged("weak", limits, weak, planned.weak)
        if mode:
            return Ruling(Decision.REJECT, Stage.WEAK, checks, mode)
        limits = self._of_strong(weak)
        if more := unsettled(limits, strong, planned.strong, planned.curtail):
            if not strong:
                return Ruling(Decision.STRONG, Stage.WEAK, checks, more=more)
            return Ruling(Decision.MORE, Stage.STRONG, more=more)
        of_strong, mode = judged("strong", limits, strong, planned.strong)
        return Ruling(Decision.REJECT if mode else Decision.ACCEPT, Stage.STRONG, (*checks, *of_strong), mode)

    def _of_weak(self) -> list[Limit]:
        high, low = FailureMode.TOO_EASY, FailureMode.DEGENERATE_WEAK
        return [
            *limits_of("mean", self.weak_mean, high, low),
            *limits_of("best", self.weak_best, high, low),
            *([] if self.weak_zeros else [Limit("worst", ABOVE_ZERO, low)]),
        ]

    def _of_strong(self, weak: Sequence[Fraction]) -> list[Limit]:
        high, low, small = FailureMode.SATURATED_STRONG, FailureMode.FAILED_ON_STRONG, FailureMode.GAP_TOO_SMALL
        return [
            *limits_of("mean", self.strong_mean, high, low),
            *([] if self.strong_zeros else [Limit("worst", ABOVE_ZERO, low)]),
            *(limits_of("mean", self.gap, small, small, over=mean(weak)) if self.gap else []),
        ]

    def require_possible(self, planned: Planned) -> None:
        """Look for means and a gap between them within all bounds; raise ValueError when there are none."""
        best = _interval(self.weak_best, "weak best")
        # The mean is highest when all attempts equal the best, and lowest when all others score next to nothing.
        lowest_in = best.low_in and (self.weak_zeros or planned.weak == 1)
        of_best = _Interval(best.low / planned.weak, lowest_in, best.high, best.high_in)
        weak = _interval([*self.weak_mean, *([] if self.weak_zeros else [ABOVE_ZERO])], "weak", of_best)
        strong = _interval([*self.strong_mean, *([] if self.strong_zeros else [ABOVE_ZERO])], "strong")
        narrowest, narrowest_in = strong.low - weak.high, strong.low_in and weak.high_in
        widest, widest_in = strong.high - weak.low, strong.high_in and weak.low_in
        try:
            _interval(self.gap, "gap", _Interval(narrowest, narrowest_in, widest, widest_in))
        except ValueError as error:
            gap = " and ".join(map(str, self.gap))
            raise ValueError(f"no scores can pass: gap {gap} with weak {weak} and strong {strong}") from error


class Counts(Settings):
    """Counts of right attempts: at most `weak_right` of the weak, at least `strong_right` of the strong (section 5)."""

    name: str = "custom"
    weak_right: int = Field(ge=0)
    strong_right: int = Field(ge=0)

    def rule(self, weak: Sequence[Fraction], strong: Sequence[Fraction], planned: Planned) -> Ruling:
        """Count right attempts. With `planned.curtail`, stop as soon as the rest cannot change the verdict."""
        allowed = self.weak_right
        right = sum(score > HALF for score in weak)
        if more := _missing(right, len(weak), planned.weak, allowed + 1, planned.curtail):
            return Ruling(Decision.MORE, Stage.WEAK, more=more)
        checks: tuple[Check, ...] = (
            _count_check("weak right", right, len(weak), planned.weak, f"<= {allowed}", right <= allowed),
        )
        if right > allowed:
            return Ruling(Decision.REJECT, Stage.WEAK, checks, FailureMode.TOO_EASY)
        needed = self.strong_right
        right = sum(score > HALF for score in strong)
        if more := _missing(right, len(strong), planned.strong, needed, planned.curtail):
            decision = Decision.MORE if strong else Decision.STRONG
            return Ruling(decision, Stage.STRONG if strong else Stage.WEAK, checks if not strong else (), more=more)
        passed = right >= needed
        checks += (_count_check("strong right", right, len(strong), planned.strong, f">= {needed}", passed),)
        if passed:
            return Ruling(Decision.ACCEPT, Stage.STRONG, checks)
        return Ruling(Decision.REJECT, Stage.STRONG, checks, FailureMode.FAILED_ON_STRONG)

    def require_possible(self, planned: Planned) -> None:
        """Raise ValueError when the counts pass nothing, or let every weak result pass."""
        if self.weak_right >= planned.weak:
            raise ValueError(
                f"no gate: weak_right <= {self.weak_right} of {planned.weak} attempts lets everything pass"
            )
        if self.strong_right > planned.strong:
            raise ValueError(f"no scores can pass: strong_right >= {self.strong_right} of {planned.strong} attempts")


class Majority(Settings):
    """Weak majority wrong, strong majority right (section 2). Right means more than half; an even split is wrong."""

    name: str = "majority"

    def rule(self, weak: Sequence[Fraction], strong: Sequence[Fraction], planned: Planned) -> Ruling:
        """Rule as counts do, with the bounds that the planned attempts give."""
        counts = Counts(name=self.name, weak_right=planned.weak // 2, strong_right=planned.strong // 2 + 1)
        return counts.rule(weak, strong, planned)

    def require_possible(self, planned: Planned) -> None:
        """A majority is always possible."""


class Measure(Settings):
    """No gate: all planned attempts of both solvers are made, and whatever they score is accepted (the baseline)."""

    name: str = "measure"

    def rule(self, weak: Sequence[Fraction], strong: Sequence[Fraction], planned: Planned) -> Ruling:
        """Ask for all weak attempts, then for all strong ones, then accept; the checks only show the means."""
        for stage, made, wanted in ((Stage.WEAK, weak, planned.weak), (Stage.STRONG, strong, planned.strong)):
            if len(made) < wanted:
                return Ruling(Decision.MORE, stage, more=wanted - len(made))
        means = {"weak mean": mean(weak), "strong mean": mean(strong), "gap": mean(strong) - mean(weak)}
        checks = tuple(Check(name=name, value=decimal(value), bound="", passed=True) for name, value in means.items())
        return Ruling(Decision.ACCEPT, Stage.STRONG, checks)

    def require_possible(self, planned: Planned) -> None:
        """Every score is possible."""


class LoopJudge(Measure):
    """All planned attempts of both solvers, then a judge reads their pattern (section 4)."""

    name: str = "loop_judge"

    def rule(self, weak: Sequence[Fraction], strong: Sequence[Fraction], planned: Planned) -> Ruling:
        """Rule as the baseline does, with the judge in place of acceptance."""
        ruling = super().rule(weak, strong, planned)
        return replace(ruling, decision=Decision.JUDGE) if ruling.decision is Decision.ACCEPT else ruling


def _accepted(name: str, found: Any) -> AcceptancePolicy:
    policy = found() if isinstance(found, type) else found
    if not isinstance(policy, Settings):
        raise ValueError("it must be a subclass of autodata.models.config.Settings, or an instance of one")
    if lacking := [part for part in ("name", "rule", "require_possible") if not hasattr(policy, part)]:
        raise ValueError(f"it lacks {', '.join(lacking)}")
    kept: Any = policy
    if kept.name != name:
        raise ValueError(f"its field 'name' is {kept.name!r}, not {name!r}")
    return cast("AcceptancePolicy", policy)


_SHIPPED: Mapping[str, AcceptancePolicy] = {
    "paper": Thresholds.model_validate(
        {"name": "paper", "weak_mean": "< 0.50", "strong_mean": ">= 0.65", "gap": ">= 0.20"}
    ),
    "deployed": Thresholds.model_validate(
        {
            "name": "deployed",
            "weak_mean": "<= 0.65",
            "weak_best": "<= 0.75",
            "weak_zeros": False,
            "strong_mean": [">= 0.60", "< 0.95"],
            "strong_zeros": False,
            "gap": ">= 0.20",
        }
    ),
    "meta": Thresholds.model_validate(
        {
            "name": "meta",
            "weak_mean": "<= 0.65",
            "weak_best": "<= 0.75",
            "strong_mean": [">= 0.60", "<= 0.95"],
            "gap": ">= 0.20",
        }
    ),
    "majority": Majority(),
    "counts": Counts(name="counts", weak_right=1, strong_right=3),
    "loop_judge": LoopJudge(),
}
"""The named presets, numbers as the paper has them (section 2 of the facts)."""


@dataclass(frozen=True)
class _Interval:
    low: Fraction
    low_in: bool
    high: Fraction
    high_in: bool

    def __str__(self) -> str:
        left, right = "[" if self.low_in else "(", "]" if self.high_in else ")"
        return f"in {left}{decimal(self.low)}, {decimal(self.high)}{right}"


_ALL = _Interval(Fraction(0), True, Fraction(1), True)
"""Where a score can lie at all."""


def _interval(bounds: Sequence[Bound], name: str, within: _Interval = _ALL) -> _Interval:
    low, low_in, high, high_in = within.low, within.low_in, within.high, within.high_in
    for bound in bounds:
        strict = len(bound.sign) == 1
        if bound.sign.startswith(">") and (bound.number > low or (bound.number == low and strict)):
            low, low_in = bound.number, not strict
        if bound.sign.startswith("<") and (bound.number < high or (bound.number == high and strict)):
            high, high_in = bound.number, not strict
    if low > high or (low == high and not (low_in and high_in)):
        raise ValueError(f"no scores can pass: the {name} bounds exclude each other")
    return _Interval(low, low_in, high, high_in)


def _missing(right: int, made: int, planned: int, to_settle: int, curtail: bool) -> int:
    """Return how many attempts to make next; 0 when all are made or, curtailed, when the verdict is settled.

    `to_settle` right attempts decide one way, more than `planned - to_settle` wrong ones the other. The next batch is
    the least number that could settle it.
    """
    left = max(0, planned - made)
    if not curtail:
        return left
    wrong_to_settle = planned - to_settle + 1
    rights_missing, wrongs_missing = to_settle - right, wrong_to_settle - (made - right)
    if rights_missing <= 0 or wrongs_missing <= 0:
        return 0
    return min(rights_missing, wrongs_missing, left)


def _count_check(name: str, right: int, made: int, planned: int, bound: str, passed: bool) -> Check:
    value = f"{right} of {made}" + (f", {planned} planned" if made < planned else "")
    return Check(name=name, value=value, bound=bound, passed=passed)


PRESETS: Registry[AcceptancePolicy] = Registry("autodata.policies", "acceptance preset", _SHIPPED, _accepted)
"""Each policy by what `acceptance` calls it: the package's own, and those of entry points `autodata.policies`.

What is configured of one is its fields: `acceptance = {preset = "NAME", field = value}`.
"""
