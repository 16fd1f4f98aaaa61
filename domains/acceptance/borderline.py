"""Which candidates a person is asked about: all that would be accepted, those near a gate, or every one.

Near is decided by code, from exact scores (rule 1). A bound on a score is near within a margin; a bound on a count is
near when one attempt that had come out otherwise would have turned it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from autodata.checkpoints.records import Check
from autodata.domains.acceptance.bounds import Bound, read_bound
from autodata.domains.acceptance.policies import HALF, AcceptancePolicy, Planned
from autodata.domains.acceptance.rubric_score import mean

ReviewMode = Literal["none", "accepted", "borderline", "all"]


@dataclass(frozen=True)
class Reviewing:
    """Which candidates wait for a person."""

    mode: ReviewMode = "none"
    margin: Fraction = Fraction(1, 20)
    """How near to a bound a score is borderline, in 0..1."""

    def asks(self, *, accepted: bool, near: Sequence[Check]) -> bool:
        """Whether a person is asked about a candidate with this verdict."""
        if self.mode == "borderline":
            return bool(near)
        return self.mode == "all" or (self.mode == "accepted" and accepted)


NO_REVIEW = Reviewing()


def borderline(
    policy: AcceptancePolicy, weak: Sequence[Fraction], strong: Sequence[Fraction], planned: Planned, margin: Fraction
) -> tuple[Check, ...]:
    """Return the checks that make a verdict borderline; empty when it is none.

    Of a pass these are all checks that nearly failed. A failure is borderline only if every failed check nearly passed.
    """
    checks = policy.rule(weak, strong, planned).checks
    near = tuple(check for check in checks if check.bound and _near(check, weak, strong, planned, margin))
    failed = tuple(check for check in checks if not check.passed)
    if failed:
        return failed if set(failed) <= set(near) else ()
    return near


def _near(
    check: Check, weak: Sequence[Fraction], strong: Sequence[Fraction], planned: Planned, margin: Fraction
) -> bool:
    bound = read_bound(check.bound)
    scores, wanted = (weak, planned.weak) if check.name.startswith("weak") else (strong, planned.strong)
    if not scores or len(scores) < wanted:
        return False  # attempts stopped early: what is left out could not have changed the verdict
    if check.name.endswith(" right"):
        return _one_attempt_away(bound, sum(score > HALF for score in scores), wanted)
    value = _values(weak, strong).get(check.name)
    return value is not None and abs(value - bound.number) <= margin


def _values(weak: Sequence[Fraction], strong: Sequence[Fraction]) -> Mapping[str, Fraction]:
    """Return the exact figures behind the names that acceptance policies give to their checks."""
    values: dict[str, Fraction] = {}
    for name, scores in (("weak", weak), ("strong", strong)):
        if scores:
            values |= {f"{name} mean": mean(scores), f"{name} best": max(scores), f"{name} worst": min(scores)}
    if weak and strong:
        values["gap"] = mean(strong) - mean(weak)
    return values


def _one_attempt_away(bound: Bound, right: int, planned: int) -> bool:
    now = bound.holds(Fraction(right))
    others = [other for other in (right - 1, right + 1) if 0 <= other <= planned]
    return any(bound.holds(Fraction(other)) is not now for other in others)
