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
from autodata.nodes.optimizer.racing import at_least, cannot_win, hardly_wins, score_of

A, R, E = DocumentStatus.ACCEPTED, DocumentStatus.REJECTED, DocumentStatus.ERRORED
statuses = st.lists(st.sampled_from([A, R, R, DocumentStatus.SKIPPED, E]), min_size=1, max_size=15)


def trials(found: Sequence[DocumentStatus]) -> list[Trial]:
    return [Trial(f"d{n}", status) for n, status in enumerate(found)]


def test_skipped_counts_as_not_passed_and_errored_not_at_all() -> None:
    assert score_of(trials([A, R, DocumentStatus.SKIPPED, E])) == Fraction(1, 3)
    assert score_of(trials([E, E])) is None


@given(statuses, statuses)
def test_exact_racing_changes_no_decision(of_parent: list[DocumentStatus], of_mutant: list[DocumentStatus]) -> None:
    parent = score_of(trials(of_parent))
    if parent is None:
        return
    lost = cannot_win(parent, len(of_mutant))
    final = score_of(trials(of_mutant))
    for looked in range(1, len(of_mutant) + 1):
        if lost(trials(of_mutant[:looked])):
            assert final is None or final <= parent


@given(st.integers(1, 12), st.integers(0, 12))
def test_exact_racing_stops_as_soon_as_it_can(documents: int, passed: int) -> None:
    """Where every missing document could still pass and lift the score above the parent's, it goes on."""
    of_mutant = [A] * min(passed, documents)
    rest = documents - len(of_mutant)
    parent = Fraction(1, 2)
    lost = cannot_win(parent, documents)
    assert lost(trials(of_mutant)) == (Fraction(len(of_mutant) + rest, documents) <= parent)


def test_equal_is_lost() -> None:
    assert cannot_win(Fraction(4, 5), 5)(trials([A, A, R]))
    assert not cannot_win(Fraction(4, 5), 5)(trials([A, A, A]))


def test_when_everything_errored_nothing_is_lost() -> None:
    assert not cannot_win(Fraction(1), 2)(trials([E, E]))


def test_a_mutant_that_loses_every_difference_is_given_up() -> None:
    parent = trials([A] * 12 + [R] * 13)
    lost = hardly_wins(parent, 25, wave=5, error=0.05)
    assert lost(trials([R] * 10))  # ten losses, no win; exactly, all 15 others could still pass
    assert not cannot_win(Fraction(12, 25), 25)(trials([R] * 10))
    assert not lost(trials([A] * 10))
    assert not lost(trials([R] * 5))  # five in a row happen by chance too often: 1/32 is more than the look's share


def test_the_stated_error_holds_for_a_mutant_as_good_as_its_parent() -> None:
    rng = random.Random(5)
    given_up = 0
    for _ in range(2000):
        parent = trials([rng.choice([A, R]) for _ in range(25)])
        mutant = trials([rng.choice([A, R]) for _ in range(25)])
        lost = hardly_wins(parent, 25, wave=5, error=0.05)
        exact = cannot_win(score_of(parent) or Fraction(0), 25)
        given_up += any(lost(mutant[:n]) and not exact(mutant[:n]) for n in (5, 10, 15, 20))
    assert given_up / 2000 <= 0.05


def test_errored_documents_take_no_part_in_the_sign_test() -> None:
    lost = hardly_wins(trials([E] * 10 + [A] * 8 + [R] * 7), 25, wave=5, error=0.05)
    assert not lost(trials([R] * 10))


@pytest.mark.parametrize(("k", "n", "chance"), [(0, 0, 1.0), (0, 5, 1.0), (5, 5, 1 / 32), (3, 4, 5 / 16)])
def test_tosses_of_a_fair_coin(k: int, n: int, chance: float) -> None:
    assert at_least(k, n) == pytest.approx(chance)
