"""Confirming: fresh attempts at an accepted example, none of which selected it, and what may be asked of them.

Of many noisy scores those that passed a gate flatter: part of each is luck. Attempts made anew are free of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from pydantic import Field, model_validator

from autodata.checkpoints.records import Check, Decision
from autodata.domains.acceptance.bounds import Bound, Bounds, decimal
from autodata.domains.acceptance.policies import AcceptancePolicy, Counts, Majority, Measure, Planned
from autodata.domains.acceptance.rubric_score import mean
from autodata.models.config import Settings


class ConfirmConfig(Settings):
    """Fresh attempts at each accepted example: `autodata run --confirm K`."""

    attempts: int = Field(default=0, ge=0, le=64)
    """Fresh attempts that each solver makes at every accepted example, with new seeds; 0: none."""
    require: bool = False
    """Whether an example counts only if the fresh attempts, alone, pass too: the preset's own gates, or `gap`."""
    gap: Bounds = ()
    """Bounds on the confirmed gap, for instance `">= 0.10"`, that `require` asks for in place of the preset's gates.
    Where a judge decides and there are no gates, it is `"> 0.00"` unless it is set."""

    @model_validator(mode="after")
    def _attempts_to_require(self) -> ConfirmConfig:
        if self.require and not self.attempts:
            raise ValueError("require needs fresh attempts: set attempts to 1 or more")
        if self.gap and not self.require:
            raise ValueError("gap is asked for only with require: set require = true, or leave gap out")
        return self

    @property
    def planned(self) -> Planned:
        """The fresh attempts as a policy counts them. All are made: they measure, and stop for no verdict."""
        return Planned(self.attempts, self.attempts)


NO_CONFIRMING = ConfirmConfig()
"""Nothing is confirmed."""

_ANY_GAP = (Bound(">", Fraction(0)),)


def require_confirmable(config: ConfirmConfig, policy: AcceptancePolicy, selecting: Planned) -> None:
    """Raise ValueError when no fresh attempts at all could pass what `require` asks for."""
    if config.require and not _bounds(config, policy):
        _for_fresh(policy, selecting, config.planned).require_possible(config.planned)


def required_checks(
    config: ConfirmConfig,
    policy: AcceptancePolicy,
    selecting: Planned,
    weak: Sequence[Fraction],
    strong: Sequence[Fraction],
) -> tuple[bool, tuple[Check, ...]]:
    """Return whether fresh scores pass what `require` asks for, and each comparison made.

    `selecting` are the attempts that the domain plans for selection: a count of right attempts asks the same share of
    the fresh ones. Each solver has at least one score. Raises ValueError where a policy of an entry point decides
    nothing on them.
    """
    if bounds := _bounds(config, policy):
        gap = mean(strong) - mean(weak)
        checks = tuple(
            Check(name="confirmed gap", value=decimal(gap), bound=str(bound), passed=bound.holds(gap))
            for bound in bounds
        )
        return all(check.passed for check in checks), checks
    ruling = _for_fresh(policy, selecting, config.planned).rule(weak, strong, config.planned)
    if ruling.decision is Decision.STRONG:
        raise ValueError(f"acceptance policy {policy.name!r} decides nothing on all fresh attempts")
    if ruling.decision is Decision.MORE:
        raise ValueError(f"acceptance policy {policy.name!r} asks for more than {config.attempts} fresh attempts")
    named = tuple(check.model_copy(update={"name": f"confirmed {check.name}"}) for check in ruling.checks)
    return ruling.decision is not Decision.REJECT, named


def _bounds(config: ConfirmConfig, policy: AcceptancePolicy) -> Bounds:
    """Return the bounds on the gap that stand in for a policy's gates; empty where its gates are asked for."""
    return config.gap or (_ANY_GAP if isinstance(policy, Measure) else ())


def _for_fresh(policy: AcceptancePolicy, selecting: Planned, fresh: Planned) -> AcceptancePolicy:
    """Return a policy for so many fresh attempts: counts ask the same share, rounded to the strict side."""
    if isinstance(policy, Majority) or not isinstance(policy, Counts):
        return policy
    weak = policy.weak_right * fresh.weak // selecting.weak
    strong = -(-policy.strong_right * fresh.strong // selecting.strong)
    return policy.model_copy(update={"weak_right": weak, "strong_right": strong})
