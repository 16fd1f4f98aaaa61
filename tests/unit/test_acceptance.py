"""Acceptance policies at their boundaries, on both sides; and which gates nothing can pass."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from autodata.checkpoints.records import Check, Decision, FailureMode, Stage
from autodata.domains.acceptance.bounds import Bound, decimal
from autodata.domains.acceptance.early_stopping import Limit
from autodata.domains.acceptance.policies import (
    PRESETS,
    AcceptancePolicy,
    Counts,
    LoopJudge,
    Majority,
    Measure,
    Planned,
    Ruling,
    Thresholds,
)
from autodata.models.config import Settings

THREE = Planned(3, 3)
FOUR = Planned(4, 4)
SOON = Planned(4, 4, curtail=True)
EASY, HARD = FailureMode.TOO_EASY, FailureMode.FAILED_ON_STRONG
ZERO, FULL, GAP = FailureMode.DEGENERATE_WEAK, FailureMode.SATURATED_STRONG, FailureMode.GAP_TOO_SMALL


def exact(text: str) -> list[Fraction]:
    return [Fraction(part) for part in text.split()]


def flat(mean: str, attempts: int = 3) -> list[Fraction]:
    """Attempts that all score the same."""
    return [Fraction(mean)] * attempts


def check(ruling: Ruling, name: str) -> Check:
    (found,) = [item for item in ruling.checks if item.name == name]
    return found


def just(number: str, side: int) -> str:
    """A number that is a billionth above (1) or below (-1) another: floats of short decimals could not show it."""
    return str(Fraction(number) + side * Fraction(1, 10**9))


# Preset, weak attempts, strong attempts, failure mode (None: accepted). One row on each side of every boundary.
BOUNDARIES: list[tuple[str, list[Fraction], list[Fraction], FailureMode | None]] = [
    ("paper", flat("0.5"), [], EASY),
    ("paper", flat(just("0.5", 1)), [], EASY),
    ("paper", flat(just("0.5", -1)), flat("1"), None),
    ("paper", flat("0"), flat("0.65"), None),
    ("paper", flat("0"), flat(just("0.65", -1)), HARD),
    ("paper", flat("0"), flat("1"), None),
    ("paper", flat("0.45"), flat("0.65"), None),
    ("paper", flat(just("0.45", 1)), flat("0.65"), GAP),
    ("paper", exact("1 0.49 0"), flat("0.9"), None),
    ("deployed", flat("0.65"), flat("0.85"), None),
    ("deployed", flat(just("0.65", 1)), [], EASY),
    ("deployed", exact("0.75 0.5 0.5"), flat("0.9"), None),
    ("deployed", [Fraction(just("0.75", 1)), *exact("0.5 0.5")], [], EASY),
    ("deployed", exact("0.5 0.5 0"), [], ZERO),
    ("deployed", [*exact("0.5 0.5"), Fraction(1, 10**9)], flat("0.9"), None),
    ("deployed", flat("0.4"), flat("0.6"), None),
    ("deployed", flat("0.1"), flat(just("0.6", -1)), HARD),
    ("deployed", flat("0.6"), flat("0.95"), FULL),
    ("deployed", flat("0.6"), flat(just("0.95", -1)), None),
    ("deployed", flat("0.1"), exact("1 1 0"), HARD),
    ("deployed", flat("0.1"), [*exact("1 1"), Fraction(1, 10**9)], None),
    ("deployed", flat("0.6"), flat("0.8"), None),
    ("deployed", flat("0.6"), flat(just("0.8", -1)), GAP),
    ("meta", flat("0.65"), flat("0.95"), None),
    ("meta", flat(just("0.65", 1)), [], EASY),
    ("meta", exact("0.75 0 0"), flat("0.9"), None),
    ("meta", [Fraction(just("0.75", 1)), *exact("0 0")], [], EASY),
    ("meta", flat("0"), flat("0.6"), None),
    ("meta", flat("0"), flat(just("0.6", -1)), HARD),
    ("meta", flat("0"), exact("1 1 0"), None),
    ("meta", flat("0"), flat(just("0.95", 1)), FULL),
    ("meta", flat("0.4"), flat("0.6"), None),
    ("meta", flat(just("0.4", 1)), flat("0.6"), GAP),
    ("majority", exact("0 0 1"), exact("1 1 0"), None),
    ("majority", exact("0 1 1"), [], EASY),
    ("majority", exact("0 0 0"), exact("1 0 0"), HARD),
    ("counts", exact("0 0 1"), exact("1 1 1"), None),
    ("counts", exact("0 1 1"), [], EASY),
    ("counts", exact("0 0 1"), exact("1 1 0"), HARD),
    ("counts", exact("1/2 1/2 1/2"), exact("1 1 1"), None),
    ("counts", exact("1/2 501/1000 1"), [], EASY),
    ("counts", exact("0 0 0"), exact("1 1 1/2"), HARD),
]


@pytest.mark.parametrize(("preset", "weak", "strong", "mode"), BOUNDARIES)
def test_every_preset_on_both_sides_of_its_boundaries(
    preset: str, weak: list[Fraction], strong: list[Fraction], mode: FailureMode | None
) -> None:
    ruling = PRESETS[preset].rule(weak, strong, THREE)
    assert (ruling.failure_mode, ruling.more) == (mode, 0)
    assert ruling.decision is (Decision.REJECT if mode else Decision.ACCEPT)
    assert ruling.stage is (Stage.STRONG if strong else Stage.WEAK)
    assert all(item.passed for item in ruling.checks) is (mode is None)


@pytest.mark.parametrize(
    ("right_weak", "right_strong", "mode"),
    [(1, 3, None), (2, 4, EASY), (1, 2, HARD), (0, 4, None), (0, 0, HARD)],
)
def test_counts_of_four(right_weak: int, right_strong: int, mode: FailureMode | None) -> None:
    weak, strong = ([Fraction(n < right) for n in range(4)] for right in (right_weak, right_strong))
    assert PRESETS["counts"].rule(weak, strong, FOUR).failure_mode is mode


@pytest.mark.parametrize(
    ("right_weak", "right_strong", "mode"),
    [(2, 3, None), (3, 4, EASY), (2, 2, HARD), (0, 3, None)],
)
def test_a_majority_of_an_even_number_is_more_than_half(
    right_weak: int, right_strong: int, mode: FailureMode | None
) -> None:
    weak, strong = ([Fraction(n < right) for n in range(4)] for right in (right_weak, right_strong))
    assert PRESETS["majority"].rule(weak, strong, FOUR).failure_mode is mode


@pytest.mark.parametrize(
    ("weak", "strong", "mode"),
    [
        ("0.8 0.8 0", "", EASY),  # the best attempt comes before the zero
        ("0.5 0.5 0", "", ZERO),
        ("0.6 0.6 0.6", "1 0.7 0", HARD),  # the strong mean comes before its zero and the gap
        ("0.6 0.6 0.6", "1 1 1", FULL),
        ("0.6 0.6 0.6", "1 1 0", HARD),  # mean and zero: the gap is small as well
        ("0.6 0.6 0.6", "0.7 0.7 0.7", GAP),
    ],
)
def test_the_first_failed_gate_names_the_failure(weak: str, strong: str, mode: FailureMode) -> None:
    assert PRESETS["deployed"].rule(exact(weak), exact(strong), THREE).failure_mode is mode


def test_every_comparison_is_kept_with_its_numbers() -> None:
    ruling = PRESETS["deployed"].rule(exact("0.5 0.25 0.2"), exact("0.9 0.8 0.7"), THREE)
    assert [(item.name, item.value, item.bound, item.passed) for item in ruling.checks] == [
        ("weak mean", "0.3167", "<= 0.65", True),
        ("weak best", "0.50", "<= 0.75", True),
        ("weak worst", "0.20", "> 0.00", True),
        ("strong mean", "0.80", ">= 0.60", True),
        ("strong mean", "0.80", "< 0.95", True),
        ("strong worst", "0.70", "> 0.00", True),
        ("gap", "0.4833", ">= 0.20", True),
    ]


def test_a_failed_weak_gate_shows_only_weak_checks() -> None:
    ruling = PRESETS["paper"].rule(exact("1 1 1"), [], THREE)
    assert [item.name for item in ruling.checks] == ["weak mean"]
    assert not check(ruling, "weak mean").passed


@pytest.mark.parametrize("preset", sorted({*PRESETS} - {"loop_judge"}))
@pytest.mark.parametrize("planned", [THREE, FOUR, Planned(5, 2)])
def test_attempts_are_asked_for_until_a_stage_is_complete(preset: str, planned: Planned) -> None:
    policy, wrong, right = PRESETS[preset], Fraction(1, 4), Fraction(9, 10)
    for made in range(planned.weak):
        ruling = policy.rule([wrong] * made, [], planned)
        assert (ruling.decision, ruling.stage, ruling.more) == (Decision.MORE, Stage.WEAK, planned.weak - made)
    ruling = policy.rule([wrong] * planned.weak, [], planned)
    assert (ruling.decision, ruling.stage, ruling.more) == (Decision.STRONG, Stage.WEAK, planned.strong)
    assert ruling.checks
    assert ruling.failure_mode is None
    for made in range(1, planned.strong):
        ruling = policy.rule([wrong] * planned.weak, [right] * made, planned)
        assert (ruling.decision, ruling.stage, ruling.more) == (Decision.MORE, Stage.STRONG, planned.strong - made)


def sequences(planned: int) -> st.SearchStrategy[list[Fraction]]:
    return st.lists(st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(1)]), min_size=planned, max_size=planned)


def play(policy: AcceptancePolicy, weak: Sequence[Fraction], strong: Sequence[Fraction], planned: Planned) -> Ruling:
    """Make exactly the attempts a policy asks for, batch by batch, until it decides."""
    made = {Stage.WEAK: 0, Stage.STRONG: 0}
    while True:
        ruling = policy.rule(weak[: made[Stage.WEAK]], strong[: made[Stage.STRONG]], planned)
        if ruling.decision in {Decision.ACCEPT, Decision.REJECT}:
            return ruling
        stage = Stage.STRONG if ruling.decision is Decision.STRONG else ruling.stage
        assert ruling.more > 0
        made[stage] += ruling.more
        assert made[Stage.WEAK] <= planned.weak
        assert made[Stage.STRONG] <= planned.strong


@given(st.data(), st.integers(1, 6), st.integers(1, 6))
def test_a_curtailed_verdict_is_the_full_verdict(data: st.DataObject, weak_planned: int, strong_planned: int) -> None:
    bounds = {
        "weak_right": data.draw(st.integers(0, weak_planned)),
        "strong_right": data.draw(st.integers(0, strong_planned)),
    }
    policies: list[AcceptancePolicy] = [Counts(**bounds), Majority()]
    policy = data.draw(st.sampled_from(policies))
    weak, strong = data.draw(sequences(weak_planned)), data.draw(sequences(strong_planned))
    full = policy.rule(weak, strong, Planned(weak_planned, strong_planned))
    soon = play(policy, weak, strong, Planned(weak_planned, strong_planned, curtail=True))
    assert (soon.decision, soon.failure_mode, soon.stage) == (full.decision, full.failure_mode, full.stage)
    assert [item.passed for item in soon.checks] == [item.passed for item in full.checks]


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("results", list(itertools.product([True, False], repeat=4)))
def test_no_attempt_is_made_after_the_verdict_is_settled(stage: Stage, results: tuple[bool, ...]) -> None:
    policy = PRESETS["counts"]
    scores, before = [Fraction(right) for right in results], [Fraction(0)] * 3
    stop = {Stage.WEAK: (2, 3), Stage.STRONG: (3, 2)}[stage]  # right ones, wrong ones
    made = 0
    while True:
        ruling = (
            policy.rule(scores[:made], [], SOON) if stage is Stage.WEAK else policy.rule(before, scores[:made], SOON)
        )
        over = ruling.stage is stage and ruling.decision in {Decision.STRONG, Decision.ACCEPT, Decision.REJECT}
        if over and made:
            break
        made += ruling.more
    settled = [sum(results[:n]) == stop[0] or n - sum(results[:n]) == stop[1] for n in range(made + 1)]
    assert settled == [False] * made + [True]


@pytest.mark.parametrize(("allowed", "planned", "more"), [(0, 3, 1), (1, 4, 2), (2, 5, 3), (3, 5, 2), (4, 5, 1)])
def test_a_first_batch_is_the_least_that_could_settle_it(allowed: int, planned: int, more: int) -> None:
    """One right attempt more than are allowed settles it, or so many wrong ones that no more can be right."""
    policy, plan = Counts(weak_right=allowed, strong_right=planned - allowed), Planned(planned, planned, curtail=True)
    assert policy.rule([], [], plan).more == more
    passed = policy.rule([Fraction(0)] * planned, [], plan)
    assert (passed.decision, passed.more) == (Decision.STRONG, min(planned - allowed, allowed + 1))


@pytest.mark.parametrize(
    ("weak", "strong", "planned", "name", "value", "bound"),
    [
        ("0 0 0", "", SOON, "weak right", "0 of 3, 4 planned", "<= 1"),
        ("1 1", "", SOON, "weak right", "2 of 2, 4 planned", "<= 1"),
        ("0 1 0 0", "", SOON, "weak right", "1 of 4", "<= 1"),
        ("0 0 0", "1 1 1", SOON, "strong right", "3 of 3, 4 planned", ">= 3"),
        ("0 0 0", "0 0", SOON, "strong right", "0 of 2, 4 planned", ">= 3"),
        ("0 0 0 0", "1 1 1 0", FOUR, "strong right", "3 of 4", ">= 3"),
    ],
)
def test_curtailed_counts_say_so(weak: str, strong: str, planned: Planned, name: str, value: str, bound: str) -> None:
    found = check(PRESETS["counts"].rule(exact(weak), exact(strong), planned), name)
    assert (found.value, found.bound) == (value, bound)


def test_more_attempts_than_are_planned_are_all_counted() -> None:
    """A plan may be smaller than it was when the attempts were made."""
    ruling = PRESETS["counts"].rule(exact("0 0 0 0 0"), exact("1 1 1 1 1"), FOUR)
    assert [item.value for item in ruling.checks] == ["0 of 5", "5 of 5"]
    assert ruling.decision is Decision.ACCEPT
    assert Measure().rule(exact("0 0 0"), exact("1 1 1"), Planned(2, 2)).decision is Decision.ACCEPT


@pytest.mark.parametrize(
    ("weak", "strong", "decision"),
    [
        ("0 0 0 0", "1 1 1 1", Decision.ACCEPT),
        ("1 1 1 1", "", Decision.REJECT),
        ("0 0 0 0", "0 0 0 0", Decision.REJECT),
        ("0 0 0 0 0", "", Decision.STRONG),
    ],
)
def test_attempts_beyond_what_settled_a_stage_ask_for_no_more_of_them(
    weak: str, strong: str, decision: Decision
) -> None:
    """They were made before the stage was curtailed, or side by side."""
    assert PRESETS["counts"].rule(exact(weak), exact(strong), SOON).decision is decision


@pytest.mark.parametrize(("policy", "last"), [(Measure(), Decision.ACCEPT), (LoopJudge(), Decision.JUDGE)])
def test_without_a_gate_all_attempts_of_both_solvers_are_made(policy: AcceptancePolicy, last: Decision) -> None:
    plan = Planned(2, 3, curtail=True)
    for weak, strong, stage, more in (("", "", Stage.WEAK, 2), ("1", "", Stage.WEAK, 1), ("1 0", "", Stage.STRONG, 3)):
        assert policy.rule(exact(weak), exact(strong), plan) == Ruling(Decision.MORE, stage, more=more)
    assert policy.rule(exact("1 0"), exact("1 1"), plan).more == 1
    ruling = policy.rule(exact("1 0"), exact("1 0 1"), plan)
    assert (ruling.decision, ruling.stage, ruling.failure_mode, ruling.more) == (last, Stage.STRONG, None, 0)
    assert [(item.name, item.value, item.bound, item.passed) for item in ruling.checks] == [
        ("weak mean", "0.50", "", True),
        ("strong mean", "0.6667", "", True),
        ("gap", "0.1667", "", True),
    ]
    policy.require_possible(plan)


def test_what_an_installed_package_calls_a_policy_is_one_or_is_refused() -> None:
    class Nothing(Settings):
        name: str = "nothing"

    class Strict(Majority):
        name: str = "strict"

    accept = PRESETS._accept
    assert accept("strict", Strict) == accept("strict", Strict()) == Strict()
    for found, problem in (
        (Nothing, "it lacks rule, require_possible"),
        (int, "it must be a subclass of autodata.models.config.Settings, or an instance of one"),
        (Majority, "its field 'name' is 'majority', not 'strict'"),
    ):
        with pytest.raises(ValueError, match=f"^{problem}$"):
            accept("strict", found)


def test_what_a_policy_says_cannot_be_changed() -> None:
    kept: Any
    limit = Limit("mean", Bound("<", Fraction(1, 2)), EASY)
    for kept, name in ((Planned(1, 1), "weak"), (Ruling(Decision.MORE, Stage.WEAK), "more"), (limit, "over")):
        with pytest.raises(FrozenInstanceError):
            setattr(kept, name, 2)


def test_own_thresholds_go_both_ways() -> None:
    own = Thresholds.model_validate({"weak_mean": [">= 0.1", "< 0.4"], "gap": [">= 0.1", "<= 0.5"]})
    assert own.name == "custom"
    for weak, strong, mode in (
        ("0.1", "0.6", None),
        (just("0.1", -1), "", ZERO),  # too low is no signal, not too easy
        ("0.4", "", EASY),
        ("0.1", "0.2", None),
        ("0.1", just("0.2", -1), GAP),
        ("0.1", just("0.6", 1), GAP),
    ):
        assert own.rule(flat(weak), flat(strong) if strong else [], THREE).failure_mode is mode


@pytest.mark.parametrize(
    "values", [{}, {"weak_best": "< 0.5"}, {"weak_zeros": False, "strong_zeros": False}, {"gap": []}]
)
def test_own_thresholds_need_something_to_check(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="at least one of weak_mean, strong_mean, gap"):
        Thresholds.model_validate(values)


@pytest.mark.parametrize(
    ("text", "sign", "number", "shown"),
    [
        ("< 0.5", "<", "1/2", "< 0.50"),
        ("<=0.65", "<=", "13/20", "<= 0.65"),
        ("  >=  1 ", ">=", "1", ">= 1.00"),
        ("> 0", ">", "0", "> 0.00"),
        (">= -0.25", ">=", "-1/4", ">= -0.25"),
        ("< 0.333333", "<", "333333/1000000", "< 0.333333"),
    ],
)
def test_bounds_are_read_exactly_and_written_back(text: str, sign: str, number: str, shown: str) -> None:
    (bound,) = Thresholds.model_validate({"gap": text}).gap
    assert (bound.sign, bound.number, str(bound)) == (sign, Fraction(number), shown)
    assert Thresholds.model_validate({"gap": [shown]}).gap == (bound,)


@pytest.mark.parametrize(
    "value", [0.5, "0.5", "= 0.5", "== 0.5", "< half", "< .5", "< 1e-3", "< 0.5 0.6", "", None, True, ["<"]]
)
def test_what_is_no_bound_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="is no bound: write for instance"):
        Thresholds.model_validate({"gap": value})


@pytest.mark.parametrize(("sign", "holds"), [("<", "100"), ("<=", "110"), (">", "001"), (">=", "011")])
def test_a_bound_below_at_and_above_its_number(sign: Any, holds: str) -> None:
    bound = Bound(sign, Fraction(1, 2))
    assert "".join(str(int(bound.holds(Fraction(value)))) for value in ("49/100", "1/2", "51/100")) == holds


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        ("0", 4, "0.00"),
        ("1", 4, "1.00"),
        ("1/2", 4, "0.50"),
        ("1/3", 4, "0.3333"),
        ("2/3", 2, "0.67"),
        ("-1/4", 4, "-0.25"),
        ("1/8", 4, "0.125"),
        ("1/8", 2, "0.12"),
    ],
)
def test_fractions_for_people(value: str, places: int, text: str) -> None:
    assert decimal(Fraction(value), places) == text
