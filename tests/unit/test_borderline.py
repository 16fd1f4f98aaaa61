"""What is near a gate, from exact scores."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata.domains.acceptance.borderline import Reviewing, borderline
from autodata.domains.acceptance.policies import PRESETS, AcceptancePolicy, Counts, Planned, Thresholds

MARGIN = Fraction(1, 20)
PAPER = PRESETS["paper"]
THREE_EACH = Planned(3, 3)


def near(policy: AcceptancePolicy, weak: list[str], strong: list[str], planned: Planned = THREE_EACH) -> list[str]:
    found = borderline(policy, list(map(Fraction, weak)), list(map(Fraction, strong)), planned, MARGIN)
    return [str(check) for check in found]


@pytest.mark.parametrize(
    ("weak", "strong", "expected"),
    [
        ("1/10", "9/10", []),
        ("45/100", "9/10", ["weak mean 0.45, needed < 0.50"]),
        ("4499/10000", "9/10", []),
        ("1/2", "", ["weak mean 0.50, needed < 0.50"]),
        ("55/100", "", ["weak mean 0.55, needed < 0.50"]),
        ("551/1000", "", []),
        ("1/10", "7/10", ["strong mean 0.70, needed >= 0.65"]),
        (
            "48/100",
            "70/100",
            ["weak mean 0.48, needed < 0.50", "strong mean 0.70, needed >= 0.65", "gap 0.22, needed >= 0.20"],
        ),
        ("1/10", "6/10", ["strong mean 0.60, needed >= 0.65"]),
        ("1/10", "5/10", []),
        ("49/100", "62/100", []),
        ("48/100", "66/100", ["gap 0.18, needed >= 0.20"]),
    ],
)
def test_a_mean_is_near_within_the_margin(weak: str, strong: str, expected: list[str]) -> None:
    assert near(PAPER, [weak] * 3, [strong] * 3 if strong else []) == expected


def test_of_two_bounds_on_one_mean_only_the_near_one_counts() -> None:
    assert near(PRESETS["meta"], ["1/10"] * 3, ["61/100"] * 3) == ["strong mean 0.61, needed >= 0.60"]
    assert near(PRESETS["meta"], ["1/10"] * 3, ["94/100"] * 3) == ["strong mean 0.94, needed <= 0.95"]


def test_best_and_worst_attempts_are_figures_too() -> None:
    strict = Thresholds.model_validate({"weak_mean": "< 0.90", "weak_best": "<= 0.75", "weak_zeros": False})
    assert near(strict, ["1/5", "1/5", "73/100"], ["1"] * 3) == ["weak best 0.73, needed <= 0.75"]
    assert near(strict, ["0", "1/5", "1/5"], []) == ["weak worst 0.00, needed > 0.00"]
    assert near(strict, ["0", "1/5", "9/10"], []) == [], "one failure is far off"


@pytest.mark.parametrize(
    ("weak", "strong", "expected"),
    [
        ("0000", "1111", []),
        ("0001", "1111", ["weak right 1 of 4, needed <= 1"]),
        ("0011", "", ["weak right 2 of 4, needed <= 1"]),
        ("0111", "", []),
        ("0000", "1110", ["strong right 3 of 4, needed >= 3"]),
        ("0000", "1100", ["strong right 2 of 4, needed >= 3"]),
        ("0000", "1000", []),
    ],
)
def test_a_count_is_near_when_one_attempt_made_the_difference(weak: str, strong: str, expected: list[str]) -> None:
    assert near(PRESETS["counts"], list(weak), list(strong), Planned(4, 4)) == expected


@pytest.mark.parametrize(
    ("weak", "strong", "expected"),
    [
        ("11", "", []),
        ("000", "111", []),
        ("1001", "", ["weak right 2 of 4, needed <= 1"]),
        ("000", "1011", ["strong right 3 of 4, needed >= 3"]),
    ],
)
def test_attempts_that_stopped_early_were_not_near(weak: str, strong: str, expected: list[str]) -> None:
    assert near(PRESETS["counts"], list(weak), list(strong), Planned(4, 4, curtail=True)) == expected


def test_no_gate_is_never_near() -> None:
    assert near(PRESETS["loop_judge"], ["1/2"] * 3, ["1/2"] * 3) == []


SCORES = st.lists(st.fractions(0, 1, max_denominator=20), min_size=3, max_size=3)


@given(weak=SCORES, strong=SCORES, weak_right=st.integers(0, 2), strong_right=st.integers(1, 3))
def test_a_count_that_is_not_near_survives_any_one_attempt(
    weak: list[Fraction], strong: list[Fraction], weak_right: int, strong_right: int
) -> None:
    policy, planned = Counts(weak_right=weak_right, strong_right=strong_right), Planned(3, 3)
    ruled = policy.rule(weak, strong, planned)
    if borderline(policy, weak, strong, planned, MARGIN) or ruled.failure_mode:
        return
    for scores in (weak, strong):
        for k in range(3):
            old, scores[k] = scores[k], 1 - scores[k] if scores[k] != Fraction(1, 2) else Fraction(1)
            assert policy.rule(weak, strong, planned).decision is ruled.decision
            scores[k] = old


def test_who_is_asked() -> None:
    check = borderline(PAPER, [Fraction(1, 2)] * 3, [], Planned(3, 3), MARGIN)
    asked = {
        (mode, accepted, bool(found)): Reviewing(mode).asks(accepted=accepted, near=found)
        for mode in ("none", "accepted", "borderline", "all")
        for accepted in (True, False)
        for found in (check, ())
    }
    assert {key for key, value in asked.items() if value} == {
        *(("accepted", True, found) for found in (True, False)),
        *(("borderline", accepted, True) for accepted in (True, False)),
        *(("all", accepted, found) for accepted in (True, False) for found in (True, False)),
    }
