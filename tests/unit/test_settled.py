"""Thresholds that stop once the outcome is settled: the same verdicts as with all attempts, and no attempt too many.

Policies that no scores can pass are refused before a run: of them only the verdict is checked.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autodata.checkpoints.records import Decision, FailureMode, Stage
from autodata.domains.acceptance.policies import PRESETS, Planned, Ruling, Thresholds

FINE = [Fraction(n, 16) for n in range(17)]
"""Fine enough to lie strictly between any two figures that the bounds and scores below distinguish."""
THREE, SOON = Planned(3, 3), Planned(3, 3, curtail=True)
EASY, FAILED, GAP = FailureMode.TOO_EASY, FailureMode.FAILED_ON_STRONG, FailureMode.GAP_TOO_SMALL


def play(
    policy: Thresholds, weak: Sequence[Fraction], strong: Sequence[Fraction], planned: Planned
) -> tuple[Ruling, int, int]:
    """Make the attempts that a policy asks for until it decides; return the ruling and how many of each were made."""
    made = {Stage.WEAK: 0, Stage.STRONG: 0}
    while True:
        ruling = policy.rule(weak[: made[Stage.WEAK]], strong[: made[Stage.STRONG]], planned)
        if ruling.decision in {Decision.ACCEPT, Decision.REJECT}:
            return ruling, made[Stage.WEAK], made[Stage.STRONG]
        stage = Stage.STRONG if ruling.decision is Decision.STRONG else ruling.stage
        assert stage is Stage.STRONG or not made[Stage.STRONG]  # nobody goes back to the weak solver
        assert ruling.more > 0
        made[stage] += ruling.more
        assert made[Stage.WEAK] <= planned.weak
        assert made[Stage.STRONG] <= planned.strong


def bounds_of(low: int, high: int) -> st.SearchStrategy[list[str]]:
    number = st.integers(low, high).map(lambda n: f"{n / 4:.2f}")
    return st.lists(st.builds("{} {}".format, st.sampled_from(["<", "<=", ">", ">="]), number), max_size=2)


@st.composite
def thresholds(draw: st.DrawFn) -> Thresholds:
    own: dict[str, Any] = {
        "weak_mean": draw(bounds_of(0, 4)),
        "weak_best": draw(bounds_of(0, 4)),
        "weak_zeros": draw(st.booleans()),
        "strong_mean": draw(bounds_of(0, 4)),
        "strong_zeros": draw(st.booleans()),
        "gap": draw(bounds_of(-2, 4)),
    }
    if not (own["weak_mean"] or own["strong_mean"] or own["gap"]):
        own["gap"] = [">= 0.25"]
    return Thresholds.model_validate(own)


def possible(policy: Thresholds, planned: Planned) -> bool:
    try:
        policy.require_possible(planned)
    except ValueError:
        return False
    return True


def scores(planned: int) -> st.SearchStrategy[list[Fraction]]:
    return st.lists(st.integers(0, 4).map(lambda n: Fraction(n, 4)), min_size=planned, max_size=planned)


@given(st.data(), thresholds(), st.integers(1, 5), st.integers(1, 5))
def test_a_curtailed_verdict_is_the_full_verdict(
    data: st.DataObject, policy: Thresholds, weak_n: int, strong_n: int
) -> None:
    weak, strong = data.draw(scores(weak_n)), data.draw(scores(strong_n))
    full, *_ = play(policy, weak, strong, Planned(weak_n, strong_n))
    soon, *_ = play(policy, weak, strong, Planned(weak_n, strong_n, curtail=True))
    assert (soon.decision, soon.failure_mode, soon.stage) == (full.decision, full.failure_mode, full.stage)
    assert all(check.passed for check in soon.checks) is (soon.decision is Decision.ACCEPT)


@pytest.mark.slow
@given(st.data(), thresholds(), st.integers(2, 3), st.sampled_from(list(Stage)))
def test_a_stage_stops_when_and_only_when_its_outcome_is_settled(
    data: st.DataObject, policy: Thresholds, planned: int, stage: Stage
) -> None:
    """Against all completions of a fine grid: an outcome is a failure mode, or that the stage passes."""
    assume(possible(policy, Planned(planned, planned)))
    made = data.draw(scores(data.draw(st.integers(1, planned - 1))))
    weak = data.draw(scores(planned)) if stage is Stage.STRONG else []
    all_made, soon = Planned(planned, planned), Planned(planned, planned, curtail=True)

    def ruled(of_stage: list[Fraction], plan: Planned) -> Ruling:
        return policy.rule(*((of_stage, []) if stage is Stage.WEAK else (weak, of_stage)), plan)

    if stage is Stage.STRONG and policy.rule(weak, [], all_made).decision is Decision.REJECT:
        return
    outcomes = {
        ruled([*made, *rest], all_made).failure_mode for rest in itertools.product(FINE, repeat=planned - len(made))
    }
    ruling = ruled(made, soon)
    waits = ruling.decision is Decision.MORE and ruling.stage is stage
    settled = len(outcomes) == 1 and not (outcomes == {None} and stage is Stage.WEAK and policy.gap)
    assert waits is not settled
    if not waits:
        assert ruling.failure_mode is outcomes.pop()


@pytest.mark.slow
@given(st.data(), thresholds(), st.integers(2, 4))
def test_no_batch_is_larger_than_what_could_settle_it(data: st.DataObject, policy: Thresholds, planned: int) -> None:
    """No attempt is paid for that could have been spared: a smaller batch leaves it open whatever it scores."""
    plan = Planned(planned, planned, curtail=True)
    assume(possible(policy, plan))
    made = data.draw(scores(data.draw(st.integers(0, planned - 1))))
    ruling = policy.rule(made, [], plan)
    if ruling.decision is not Decision.MORE:
        return
    for smaller in range(1, ruling.more):
        rest = data.draw(scores(smaller))
        assert policy.rule([*made, *rest], [], plan).decision is Decision.MORE


def ends(policy: Thresholds, weak: Sequence[Fraction], strong: Sequence[Fraction]) -> list[Ruling]:
    """Return the rulings with all missing attempts of the strong solver 0, and with all of them 1."""
    missing = 3 - len(strong)
    return [policy.rule(weak, [*strong, *[Fraction(end)] * missing], THREE) for end in (0, 1)]


@pytest.mark.parametrize(
    ("name", "modes"),
    [
        ("paper", [FAILED, None]),
        ("deployed", [FAILED, FailureMode.SATURATED_STRONG]),  # two-sided: both ends fail, scores between them pass
        ("meta", [FAILED, FailureMode.SATURATED_STRONG]),
    ],
)
def test_the_ends_of_a_policy_with_two_sided_bounds_both_fail(name: str, modes: list[FailureMode | None]) -> None:
    policy = PRESETS[name]
    assert isinstance(policy, Thresholds)
    weak = exact("0.3 0.3 0.3")
    assert [ruling.failure_mode for ruling in ends(policy, weak, [])] == modes
    assert policy.rule(weak, exact("0.7 0.7 0.7"), THREE).decision is Decision.ACCEPT


def test_equal_answers_at_both_ends_of_a_whole_policy_settle_nothing() -> None:
    """Why limits are held against the ends one by one: this policy fails alike at both, and passes between."""
    policy = Thresholds.model_validate({"gap": [">= 0.20", "<= 0.60"]})
    weak = exact("0.3 0.3 0.3")
    assert {ruling.failure_mode for ruling in ends(policy, weak, [])} == {GAP}
    assert policy.rule(weak, exact("0.7 0.7 0.7"), THREE).decision is Decision.ACCEPT
    assert policy.rule(weak, exact("0.7"), SOON).decision is Decision.MORE


def exact(text: str) -> list[Fraction]:
    return [Fraction(part) for part in text.split()]


@pytest.mark.parametrize(
    ("weak", "strong", "mode", "made"),
    [
        ("0.8 0 0", "", EASY, (1, 0)),  # the best is over 0.75 already
        ("0.7 0.7 0.7", "", EASY, (3, 0)),
        ("0.3 0.3 0.3", "0.1 0.1 1", FAILED, (3, 2)),  # no third attempt lifts the mean to 0.60
        ("0.3 0.3 0.3", "0.5 0.5 1", None, (3, 3)),
        ("0.6 0.6 0.6", "0.6 0.7 0.6", GAP, (3, 3)),
    ],
)
def test_meta_stops_as_soon_as_it_may(weak: str, strong: str, mode: FailureMode | None, made: tuple[int, int]) -> None:
    policy = PRESETS["meta"]
    assert isinstance(policy, Thresholds)
    ruling, *counts = play(policy, exact(weak), exact(strong), SOON)
    assert (ruling.failure_mode, tuple(counts)) == (mode, made)


def test_batches_are_the_least_number_that_could_settle_it() -> None:
    policy = PRESETS["meta"]
    assert policy.rule([], [], SOON).more == 1  # one attempt over 0.75 would do
    assert policy.rule(exact("0.3 0.3 0.3"), [], SOON).more == 2  # one alone can neither fail nor pass
    assert policy.rule(exact("0.3 0.3 0.3"), exact("0.5 0.5"), SOON).more == 1


@pytest.mark.parametrize(
    ("values", "weak", "planned", "more"),
    [
        ({"strong_mean": ">= 0.3"}, "0 0 0", 3, 1),  # a right one of three settles that it passes
        ({"strong_mean": ">= 0.6"}, "0 0 0", 3, 2),  # two right ones, or two wrong ones
        ({"strong_mean": ">= 0.7"}, "0 0 0", 3, 1),  # a wrong one settles that it fails
        ({"strong_mean": [">= 0.3", "< 0.6"]}, "0 0 0", 3, 2),
        ({"weak_mean": "< 0.50", "gap": ">= 0.20"}, "", 4, 2),  # only a failure ends the attempts early
        ({"weak_mean": "< 0.50", "strong_mean": ">= 0.6"}, "", 4, 2),
        ({"weak_mean": "< 0.30", "gap": ">= 0.20"}, "", 4, 2),
        ({"weak_mean": "< 0.20", "gap": ">= 0.20"}, "", 4, 1),
        ({"weak_mean": "<= 1", "gap": ">= 0.20"}, "", 4, 4),  # nothing that the weak solver scores can fail
    ],
)
def test_the_next_batch_is_the_least_that_could_settle_the_stage(
    values: dict[str, Any], weak: str, planned: int, more: int
) -> None:
    ruling = Thresholds.model_validate(values).rule(exact(weak), [], Planned(planned, planned, curtail=True))
    assert ruling.more == more


def test_a_weak_stage_that_passes_is_made_whole_where_the_gap_needs_its_mean() -> None:
    with_gap = Thresholds.model_validate({"weak_mean": "< 0.50", "gap": ">= 0.20"})
    without = Thresholds.model_validate({"weak_mean": "< 0.50", "strong_mean": ">= 0.5"})
    weak = exact("0.1 0.1")
    assert (with_gap.rule(weak, [], SOON).decision, without.rule(weak, [], SOON).decision) == (
        Decision.MORE,
        Decision.STRONG,
    )


def test_a_settled_verdict_gives_the_range_and_how_many_attempts_it_rests_on() -> None:
    ruling = PRESETS["meta"].rule(exact("0.8"), [], SOON)
    assert [str(check) for check in ruling.checks] == ["weak best 0.80 to 1.00 (1 of 3 attempts), needed <= 0.75"]
    no_zeros = Thresholds.model_validate({"weak_mean": "<= 1", "weak_zeros": False})
    assert [str(check) for check in no_zeros.rule(exact("0"), [], SOON).checks] == [
        "weak mean 0.00 to 0.6667 (1 of 3 attempts), needed <= 1.00",
        "weak worst 0.00 (1 of 3 attempts), needed > 0.00",  # whatever the missing ones score
    ]
    whole = PRESETS["meta"].rule(exact("0.7 0.7 0.7"), [], SOON)
    assert whole.checks == PRESETS["meta"].rule(exact("0.7 0.7 0.7"), [], THREE).checks
