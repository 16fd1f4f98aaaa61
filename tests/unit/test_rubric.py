"""Rubric arithmetic: exact, clipped, and independent of what must not matter."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata.checkpoints.records import Mark, RubricFigures
from autodata.domains.acceptance.rubric_score import mean, rubric_figures, rubric_score

weights = st.integers(-10, 10).filter(bool)
rubrics = st.lists(st.tuples(weights, st.booleans()), min_size=1, max_size=20).filter(
    lambda rows: any(weight > 0 for weight, _ in rows)
)
scores = st.lists(st.fractions(0, 1, max_denominator=100), min_size=1, max_size=8)


def score(rows: list[tuple[int, bool]]) -> Fraction:
    return rubric_score([weight for weight, _ in rows], [met for _, met in rows])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(10, True), (5, False), (5, True)], Fraction(3, 4)),
        ([(3, True), (7, False)], Fraction(3, 10)),
        ([(1, True), (1, False), (1, False)], Fraction(1, 3)),
        ([(10, True), (-4, True)], Fraction(6, 10)),
        ([(10, True), (-4, False)], Fraction(1)),
        ([(4, True), (-10, True)], Fraction(0)),
        ([(4, False), (-10, True)], Fraction(0)),
        ([(4, False), (-10, False)], Fraction(0)),
        ([(7, True)], Fraction(1)),
        ([(1, True)], Fraction(1)),
        ([(1, False), (-1, True)], Fraction(0)),
    ],
)
def test_the_score_of_a_rubric(rows: list[tuple[int, bool]], expected: Fraction) -> None:
    assert score(rows) == expected


@pytest.mark.parametrize("given_weights", [[], [-1], [-10, -1], [0]])
def test_a_rubric_that_cannot_earn_points_is_refused(given_weights: list[int]) -> None:
    with pytest.raises(ValueError, match="at least one positive weight"):
        rubric_score(given_weights, [True] * len(given_weights))


@pytest.mark.parametrize("met", [[], [True], [True, True, False]])
def test_every_criterion_needs_exactly_one_mark(met: list[bool]) -> None:
    with pytest.raises(ValueError, match="argument"):
        rubric_score([1, 2], met)


@given(rubrics)
def test_a_score_is_the_clipped_share_of_the_points_within_reach(rows: list[tuple[int, bool]]) -> None:
    reachable = sum(weight for weight, _ in rows if weight > 0)
    earned = sum(weight for weight, met in rows if met)
    found = score(rows)
    assert isinstance(found, Fraction)
    assert 0 <= found <= 1
    # Stated without a division: the score times what is within reach is what was earned, at least nothing.
    assert found * reachable == max(0, earned)


@given(rubrics, st.randoms(use_true_random=False))
def test_the_order_of_criteria_does_not_matter(rows: list[tuple[int, bool]], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert score(shuffled) == score(rows)


@given(rubrics, st.integers(1, 9))
def test_scaling_all_weights_changes_nothing(rows: list[tuple[int, bool]], factor: int) -> None:
    assert score([(weight * factor, met) for weight, met in rows]) == score(rows)


@given(rubrics, st.integers(-10, -1))
def test_a_negative_criterion_that_is_not_met_changes_nothing(rows: list[tuple[int, bool]], weight: int) -> None:
    assert score([*rows, (weight, False)]) == score(rows)


@given(rubrics, st.data())
def test_meeting_one_more_criterion_moves_the_score_its_own_way(
    rows: list[tuple[int, bool]], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(rows) - 1))
    weight = rows[at][0]
    without, with_it = [*rows], [*rows]
    without[at], with_it[at] = (weight, False), (weight, True)
    if weight > 0:
        assert score(without) <= score(with_it)
    else:
        assert score(without) >= score(with_it)


@given(scores, st.randoms(use_true_random=False))
def test_a_mean_is_exact_and_blind_to_order(values: list[Fraction], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert mean(shuffled) == mean(values)
    assert mean(values) * len(values) == sum(values)
    assert min(values) <= mean(values) <= max(values)


def test_thirds_add_up() -> None:
    assert mean([Fraction(1, 3)] * 3) == Fraction(1, 3)
    assert mean([Fraction(1, 10), Fraction(2, 10), Fraction(3, 10)]) == Fraction(1, 5)  # floats would miss it


def test_there_is_no_mean_of_nothing() -> None:
    with pytest.raises(ZeroDivisionError):
        mean([])


@pytest.mark.parametrize(
    ("value", "right"), [("0", False), ("1/2", False), ("499/1000", False), ("501/1000", True), ("1", True)]
)
def test_an_even_split_is_wrong(value: str, right: bool) -> None:
    assert Mark(attempt_id="a", score=Fraction(value)).right is right


def test_the_figures_of_a_rubric_count_what_can_be_earned() -> None:
    assert rubric_figures([5, -3, 0, 2]) == RubricFigures(items=4, positive_items=2, positive_total=7)
    assert rubric_figures([-3]) == RubricFigures(items=1, positive_items=0, positive_total=0)
