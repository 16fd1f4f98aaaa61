"""Gates that no scores can pass are refused before anything is spent; gates that some scores pass are not."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata.checkpoints.records import Decision
from autodata.domains.acceptance.bounds import Bounds
from autodata.domains.acceptance.policies import PRESETS, Counts, Majority, Planned, Thresholds
from autodata.domains.acceptance.rubric_score import mean
from autodata.domains.domain import DOMAINS

THREE = Planned(3, 3)
FINE = [Fraction(n, 32) for n in range(33)]
"""Scores to try: fine enough to lie strictly between any two of the quarters that the bounds below are made of."""


def own(**values: Any) -> Thresholds:
    return Thresholds.model_validate(values)


@pytest.mark.parametrize(
    ("policy", "planned", "clash"),
    [
        (
            own(gap=">= 0.96", strong_mean="< 0.95"),
            THREE,
            r"gap >= 0\.96 with weak in \[0\.00, 1\.00\] and strong in \[0\.00, 0\.95\)",
        ),
        (own(gap=">= 0.95", strong_mean="< 0.95"), THREE, "gap >= 0.95"),
        (own(gap="> 0.95", strong_mean="<= 0.95"), THREE, "gap > 0.95"),
        (own(gap=">= 0.6", weak_mean="> 0.4"), THREE, "gap >= 0.60"),
        (own(gap="> 1"), THREE, "gap > 1.00"),
        (own(gap=["> 0.5", "< 0.5"]), THREE, "gap > 0.50 and < 0.50"),
        (own(gap=[">= 0.5", "<= 0.3"]), THREE, "gap >= 0.50 and <= 0.30"),
        (own(gap="< 0.2", weak_mean="<= 0.3", strong_mean=">= 0.5"), THREE, "gap < 0.20"),
        (own(gap=">= 1", weak_zeros=False), THREE, r"weak in \(0\.00, 1\.00\]"),
        (own(weak_mean=["< 0.3", ">= 0.4"]), THREE, "the weak bounds exclude each other"),
        (own(weak_mean=["< 0.3", ">= 0.3"]), THREE, "the weak bounds exclude each other"),
        (own(weak_mean="< 0"), THREE, "the weak bounds exclude each other"),
        (own(weak_mean="<= 0", weak_zeros=False), THREE, "the weak bounds exclude each other"),
        (own(strong_mean="> 1"), THREE, "the strong bounds exclude each other"),
        (own(weak_mean="> 0.5", weak_best="<= 0.5"), THREE, "the weak bounds exclude each other"),
        (own(weak_mean="<= 0.2", weak_best=">= 0.9"), THREE, "the weak bounds exclude each other"),
        (own(weak_mean="<= 0.3", weak_best=">= 0.9", weak_zeros=False), THREE, "the weak bounds exclude each other"),
        (own(weak_mean="< 0.5", weak_best=[">= 0.8", "< 0.7"]), THREE, "the weak best bounds exclude each other"),
        (own(gap="<= 0.2", weak_mean="<= 0.3", strong_mean="> 0.5"), THREE, "gap <= 0.20"),
        (own(gap="<= 0.2", weak_mean="< 0.3", strong_mean=">= 0.5"), THREE, "gap <= 0.20"),
        (own(gap=">= 0.2", weak_mean="> 0.3", strong_mean="<= 0.5"), THREE, "gap >= 0.20"),
        # Of several bounds on one side the closest binds, wherever it stands.
        (own(weak_mean=["< 0.3", "< 0.9", ">= 0.5"]), THREE, "the weak bounds exclude each other"),
        (own(weak_mean=["<= 0.3", "<= 0.9", ">= 0.5"]), THREE, "the weak bounds exclude each other"),
        (own(weak_mean=["> 0.5", "> 0.1", "<= 0.3"]), THREE, "the weak bounds exclude each other"),
        (own(weak_mean=[">= 0.5", ">= 0.1", "<= 0.3"]), THREE, "the weak bounds exclude each other"),
        (own(weak_mean=[">= 0.5", "> 0.5", "<= 0.5"]), THREE, "the weak bounds exclude each other"),
        (own(weak_mean=["<= 0.5", "< 0.5", ">= 0.5"]), THREE, "the weak bounds exclude each other"),
        (own(strong_mean="<= 0", strong_zeros=False), THREE, "the strong bounds exclude each other"),
        (Counts(weak_right=1, strong_right=5), Planned(4, 4), "strong_right >= 5 of 4"),
    ],
)
def test_impossible_gates_are_refused(policy: Any, planned: Planned, clash: str) -> None:
    with pytest.raises(ValueError, match=f"^no scores can pass: .*{clash}"):
        policy.require_possible(planned)


def test_counts_that_let_every_weak_result_pass_are_no_gate() -> None:
    with pytest.raises(ValueError, match=r"^no gate: weak_right <= 4 of 4"):
        Counts(weak_right=4, strong_right=0).require_possible(Planned(4, 4))


@pytest.mark.parametrize(
    ("policy", "planned"),
    [
        (own(weak_mean="< 0.5", gap=">= 0.6"), THREE),
        (own(weak_mean="< 0.5", gap=">= 1"), THREE),
        (own(gap=">= 0.94", strong_mean="< 0.95"), THREE),
        (own(gap=">= 0.95", strong_mean="<= 0.95"), THREE),
        (own(gap="<= 0"), THREE),
        (own(gap="<= 0.2", weak_mean="<= 0.3", strong_mean=">= 0.5"), THREE),
        (own(gap=">= 0.2", weak_mean=">= 0.3", strong_mean="<= 0.5"), THREE),
        (own(weak_mean=["<= 0.9", "< 0.3", ">= 0.2", "> 0.1"]), THREE),
        (own(gap=[">= 0.3", "<= 0.3"]), THREE),
        (own(weak_mean=["<= 0.3", ">= 0.3"]), THREE),
        (own(weak_mean="<= 0.3", weak_best=">= 0.9"), THREE),
        (own(weak_mean=">= 0.5", weak_best="<= 0.5"), THREE),
        (own(strong_mean=">= 1"), THREE),
        (Counts(weak_right=0, strong_right=4), Planned(4, 4)),
        (Majority(), Planned(1, 1)),
    ],
)
def test_possible_gates_are_not(policy: Any, planned: Planned) -> None:
    policy.require_possible(planned)


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_every_preset_is_possible_in_every_domain(preset: str, domain: str) -> None:
    PRESETS[preset].require_possible(DOMAINS[domain].planned)


quarters = st.integers(-1, 5).map(lambda n: f"{n / 4:.2f}")
bounds = st.lists(st.tuples(st.sampled_from(["<", "<=", ">", ">="]), quarters).map(" ".join), max_size=2)
anything = st.fixed_dictionaries(
    {"weak_mean": bounds, "weak_best": bounds, "strong_mean": bounds, "gap": bounds}
    | {"weak_zeros": st.booleans(), "strong_zeros": st.booleans()}
).filter(lambda values: values["weak_mean"] or values["strong_mean"] or values["gap"])


def within(limits: Bounds, value: Fraction) -> bool:
    return all(bound.holds(value) for bound in limits)


def passing(policy: Thresholds, planned: Planned) -> tuple[list[Fraction], list[Fraction]] | None:
    """Return attempts that pass, found by trying; None when none do."""
    weak: dict[Fraction, list[Fraction]] = {}
    for attempts in itertools.combinations_with_replacement(FINE, planned.weak):
        zeros = policy.weak_zeros or min(attempts) > 0
        if zeros and within(policy.weak_best, max(attempts)) and within(policy.weak_mean, mean(attempts)):
            weak[mean(attempts)] = list(attempts)
    strong = [score for score in FINE if (policy.strong_zeros or score > 0) and within(policy.strong_mean, score)]
    pairs = ((low, high) for low in weak for high in strong if within(policy.gap, high - low))
    return next(((weak[low], [high] * planned.strong) for low, high in pairs), None)


@given(anything, st.sampled_from([Planned(1, 1), Planned(2, 1)]))
def test_the_verdict_on_gates_is_that_of_trying_all_scores(values: dict[str, Any], planned: Planned) -> None:
    policy = own(**values)
    found = passing(policy, planned)
    if found is None:
        with pytest.raises(ValueError, match=r"^no scores can pass: "):
            policy.require_possible(planned)
    else:
        policy.require_possible(planned)
        assert policy.rule(*found, planned).decision is Decision.ACCEPT
