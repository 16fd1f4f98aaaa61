"""Which parent is sampled, how many blocks it owes, which pack leads: arithmetic with known answers."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata.nodes.optimizer.population import (
    CONFIRM,
    Member,
    best,
    blocks_due,
    boltzmann,
    draw_for,
    minibatch,
    next_block,
    pick,
    wilson,
)


def test_boltzmann_is_the_papers() -> None:
    chances = boltzmann([0.6, 0.7], 0.1)
    assert chances[1] / chances[0] == pytest.approx(math.e)
    assert sum(chances) == pytest.approx(1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0.001, 10))
def test_a_better_score_is_never_less_likely(scores: list[float], temperature: float) -> None:
    chances = boltzmann(scores, temperature)
    assert sum(chances) == pytest.approx(1)
    for one, chance in zip(scores, chances, strict=True):
        for other, chance_of_other in zip(scores, chances, strict=True):
            assert one <= other or chance >= chance_of_other


@pytest.mark.parametrize(("scores", "temperature"), [([], 0.1), ([0.5], 0.0), ([0.5], -1.0)])
def test_what_no_distribution_can_be_made_of(scores: list[float], temperature: float) -> None:
    with pytest.raises(ValueError, match="at least one score"):
        boltzmann(scores, temperature)


def test_draws_pick_in_proportion() -> None:
    chances = [0.2, 0.5, 0.3]
    counted = Counter(pick(chances, draw_for(7, n)) for n in range(4000))
    for index, chance in enumerate(chances):
        assert abs(counted[index] / 4000 - chance) < 4 * math.sqrt(chance * (1 - chance) / 4000)
    assert pick(chances, 0.999999999999) == 2
    assert pick([0.1, 0.1], 0.9) == 1  # what rounding leaves over goes to the last


@pytest.mark.parametrize(
    ("sampled", "due"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (8, 5), (10, 5), (100, 5)]
)
def test_a_parent_buys_a_block_every_second_time_up_to_five(sampled: int, due: int) -> None:
    assert blocks_due(sampled, reuse=True, most=5, is_baseline=True) == due
    # The block that a mutant was accepted on flatters it: its own mutants are never compared with it there.
    assert blocks_due(sampled, reuse=True, most=5, is_baseline=False) == max(2, due)


def test_without_reuse_a_parent_is_evaluated_anew_each_time() -> None:
    assert [blocks_due(k, reuse=False, most=5, is_baseline=True) for k in (1, 2, 7)] == [1, 2, 7]
    # A mutant has the block that it was accepted on before it is ever a parent.
    assert [blocks_due(k, reuse=False, most=5, is_baseline=False) for k in (1, 2, 7)] == [2, 3, 8]


def test_the_next_block_is_one_the_pack_does_not_have() -> None:
    assert next_block(Member("p", 1)) == 0
    # Always behind all that it has: a parent is compared on its newest block.
    assert next_block(Member("p", 1, {0: Fraction(1), 2: Fraction(1), CONFIRM: Fraction(1)})) == 3


def test_a_pack_sees_all_training_documents_before_one_comes_again() -> None:
    documents = [f"d{n}" for n in range(10)]
    batches = [minibatch(documents, 4, k, seed=3) for k in range(1, 6)]
    assert [(len(batch), block) for batch, block in batches] == [(4, 0), (4, 0), (2, 0), (4, 1), (4, 1)]
    seen = [document for batch, block in batches for document in batch if block == 0]
    assert sorted(seen) == sorted(documents)
    assert minibatch(documents, 4, 1, seed=3) == minibatch(documents[::-1], 4, 1, seed=3)
    assert minibatch(documents, 99, 2, seed=3)[0] != ()
    assert len(minibatch(documents, 99, 2, seed=3)[0]) == 10


def test_scores_of_a_member() -> None:
    member = Member("p", 3, {0: Fraction(3, 4), 1: Fraction(1, 4), CONFIRM + 7: Fraction(1, 10)})
    assert member.score == Fraction(11, 30)
    assert member.reported == Fraction(1, 10)  # only blocks that did not select it
    assert member.bought == (0, 1)
    assert Member("p", 0).score is None
    assert Member("p", 0, {0: Fraction(1, 2)}).reported == Fraction(1, 2)


def test_the_best_is_the_earliest_of_equals() -> None:
    members = [
        Member("a", 0, {0: Fraction(1, 2)}),
        Member("b", 1, {0: Fraction(3, 5)}),
        Member("c", 2, {0: Fraction(3, 5)}),
        Member("d", 3),
    ]
    assert best(members).pack == "b"
    with pytest.raises(ValueError, match="no pack"):
        best([Member("a", 0)])


@pytest.mark.parametrize(
    ("passed", "n", "low", "high"), [(20, 25, 0.609, 0.911), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0)]
)
def test_wilson_intervals(passed: int, n: int, low: float, high: float) -> None:
    assert wilson(passed, n) == pytest.approx((low, high), abs=0.0011)


def test_no_interval_without_observations() -> None:
    with pytest.raises(ValueError, match="no observations"):
        wilson(0, 0)
