"""Racing: what is stopped has lost, or hardly could have won."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata.checkpoints.records import DocumentStatus
from autodata.nodes.optimizer.evaluator import Trial
from autodata.nodes.optimizer.racing import at_least, cannot_win, hardly_wins, paired, score_of

A, R, E = DocumentStatus.ACCEPTED, DocumentStatus.REJECTED, DocumentStatus.ERRORED
outcomes = st.sampled_from([A, R, R, DocumentStatus.SKIPPED, E])


def trials(found: Sequence[DocumentStatus]) -> list[Trial]:
    return [Trial(f"d{n}", status) for n, status in enumerate(found)]


def test_skipped_counts_as_not_passed_and_errored_not_at_all() -> None:
    assert score_of(trials([A, R, DocumentStatus.SKIPPED, E])) == Fraction(1, 3)
    assert score_of(trials([E, E])) is None


def test_a_comparison_leaves_out_what_errored_on_either_side() -> None:
    assert paired(trials([A, R, E, A]), trials([R, A, A, E])) == (Fraction(1, 2), Fraction(1, 2))
    assert paired(trials([A] * 6 + [R] * 4), trials([A] + [E] * 9)) == (Fraction(1), Fraction(1))
    assert paired(trials([E, A]), trials([A, E])) is None


pairs = st.integers(1, 12).flatmap(lambda n: st.tuples(*[st.lists(outcomes, min_size=n, max_size=n)] * 2))


@given(pairs)
def test_exact_racing_changes_no_decision(of_both: tuple[list[DocumentStatus], list[DocumentStatus]]) -> None:
    parent, mutant = (trials(found) for found in of_both)
    lost = cannot_win(parent)
    decided = paired(parent, mutant)
    for looked in range(len(mutant) + 1):
        if lost(mutant[:looked]):
            assert decided is None or decided[1] <= decided[0]


@given(pairs, st.integers(0, 12))
def test_exact_racing_stops_as_soon_as_it_can(
    of_both: tuple[list[DocumentStatus], list[DocumentStatus]], looked: int
) -> None:
    """Where it goes on there is an outcome with which the mutant would still win."""
    parent, mutant = (trials(found) for found in of_both)
    if not cannot_win(parent)(mutant[:looked]):
        best = [*mutant[:looked], *(Trial(one.document_id, A) for one in mutant[looked:])]
        decided = paired(parent, best)
        assert decided is not None
        assert decided[1] > decided[0]


def test_equal_is_lost() -> None:
    assert cannot_win(trials([A, A, A, A, R]))(trials([A, A, R]))
    assert not cannot_win(trials([A, A, A, A, R]))(trials([A, A, A]))
    assert cannot_win(trials([A, A]))([])  # nothing is left to be won


def test_a_mutant_that_loses_every_difference_is_given_up() -> None:
    parent = trials([A] * 10 + [R] * 15)
    lost = hardly_wins(parent, batch=5, error=0.05)
    assert lost(trials([R] * 10))  # ten losses, no win; exactly, all 15 others could still be won
    assert not cannot_win(parent)(trials([R] * 10))
    assert not lost(trials([A] * 10))
    assert not lost(trials([R] * 5))  # five in a row happen by chance too often: 1/32 is more than the look's share


@pytest.mark.slow
def test_the_stated_error_holds_for_a_mutant_as_good_as_its_parent() -> None:
    rng = random.Random(5)
    given_up = 0
    for _ in range(2000):
        parent = trials([rng.choice([A, R]) for _ in range(25)])
        mutant = trials([rng.choice([A, R]) for _ in range(25)])
        lost, exact = hardly_wins(parent, batch=5, error=0.05), cannot_win(parent)
        given_up += any(lost(mutant[:n]) and not exact(mutant[:n]) for n in (5, 10, 15, 20))
    assert given_up / 2000 <= 0.05


def test_errored_documents_take_no_part_in_the_sign_test() -> None:
    lost = hardly_wins(trials([E] * 10 + [A] * 8 + [R] * 7), batch=5, error=0.05)
    assert not lost(trials([R] * 10))


@pytest.mark.parametrize(("k", "n", "chance"), [(0, 0, 1.0), (0, 5, 1.0), (5, 5, 1 / 32), (3, 4, 5 / 16)])
def test_tosses_of_a_fair_coin(k: int, n: int, chance: float) -> None:
    assert at_least(k, n) == pytest.approx(chance)
