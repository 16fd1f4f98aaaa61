"""Estimators and selectors: what trials say of packs, and which pack is the next parent."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from fractions import Fraction
from statistics import fmean

import pytest

from autodata.nodes.optimizer.estimate import (
    Estimator,
    Evidence,
    LinesEstimator,
    MeanEstimator,
    NormalEstimates,
    PosteriorEstimator,
    leader_of,
)
from autodata.nodes.optimizer.selectors import Boltzmann, Greedy, Thompson

DOCUMENTS = [f"d{k}" for k in range(25)]
ALL: list[Estimator] = [MeanEstimator(), PosteriorEstimator(), LinesEstimator()]


def tried(pack: str, passed: int, of: int, iteration: int = 0, **more: object) -> Evidence:
    """A pack that passed so many of so many trials, spread over documents."""
    counts: dict[str, tuple[int, int]] = {}
    for k in range(of):
        name = DOCUMENTS[k % len(DOCUMENTS)]
        had, n = counts.get(name, (0, 0))
        counts[name] = (had + (k * passed // of != (k + 1) * passed // of), n + 1)
    values = {"counts": counts, "score": Fraction(passed, of), "validated": of, "parents": ("base",), **more}
    if pack == "base":
        values["parents"] = ()
    return Evidence(pack, iteration, **values)  # type: ignore[arg-type]


BASE = tried("base", 60, 100)


def test_the_mean_is_the_score_to_the_letter() -> None:
    estimates = MeanEstimator().estimate([BASE, tried("a", 20, 25, 1, score=Fraction(4, 5))])
    assert estimates.rate("a") == 0.8
    assert estimates.rate("base") == 0.6
    assert estimates.better("a", "base") > 0.9


def test_a_posterior_shrinks_towards_the_parent_and_less_with_more_trials() -> None:
    packs = [tried("a", n * 4 // 5, n, 1) for n in (5, 25, 100, 1000)]
    rates = [PosteriorEstimator().estimate([BASE, pack]).rate("a") for pack in packs]
    assert 0.6 < rates[0] < rates[1] < rates[2] < rates[3] < 0.8
    unseen = Evidence("b", 2, ("a",))
    estimates = PosteriorEstimator().estimate([BASE, tried("a", 80, 100, 1), unseen])
    assert estimates.rate("b") == pytest.approx(estimates.rate("a"))
    low, high = estimates.interval("b")
    assert high - low > estimates.interval("a")[1] - estimates.interval("a")[0]


def test_a_relative_is_evidence() -> None:
    alone = PosteriorEstimator().estimate([BASE, tried("a", 20, 25, 1)])
    child = tried("b", 190, 200, 2, parents=("a",))
    both = PosteriorEstimator().estimate([BASE, tried("a", 20, 25, 1), child])
    assert both.rate("a") > alone.rate("a")
    stranger = PosteriorEstimator().estimate([BASE, tried("a", 20, 25, 1), tried("b", 190, 200, 2)])
    assert stranger.rate("a") < both.rate("a")


def test_a_merged_pack_has_the_effects_of_both() -> None:
    a, b = tried("a", 140, 200, 1), tried("b", 144, 200, 2)
    merged = Evidence("m", 3, ("a", "b"))
    estimates = PosteriorEstimator().estimate([tried("base", 120, 200), a, b, merged])
    gain = estimates.rate("a") + estimates.rate("b") - 2 * estimates.rate("base")
    assert estimates.rate("m") == pytest.approx(estimates.rate("base") + gain)


def test_a_line_counts_the_same_wherever_it_stands() -> None:
    good = frozenset({"+challenger:good"})
    other = frozenset({"+challenger:other"})
    known = [BASE, tried("a", 170, 200, 1, lines=good), tried("b", 60, 100, 2, lines=other)]
    unseen = Evidence("c", 3, ("b",), lines=good | other)
    estimates = LinesEstimator().estimate([*known, unseen])
    assert estimates.rate("c") > estimates.rate("b") + 0.05
    assert PosteriorEstimator().estimate([*known, unseen]).rate("c") == pytest.approx(
        PosteriorEstimator().estimate(known).rate("b"), abs=0.01
    )


def test_documents_that_differ_are_told_from_packs_that_do() -> None:
    """A pack that was tried on the easy documents alone is not much better for that."""
    easy, hard = DOCUMENTS[:12], DOCUMENTS[12:]
    base = Evidence("base", counts={d: (19 if d in easy else 1, 20) for d in DOCUMENTS}, validated=500)
    child = Evidence("a", 1, ("base",), counts=dict.fromkeys(easy, (19, 20)), validated=240)
    worse = Evidence("b", 2, ("base",), counts=dict.fromkeys(hard, (1, 20)), validated=260)
    estimates = PosteriorEstimator().estimate([base, child, worse])
    assert abs(estimates.rate("a") - estimates.rate("base")) < 0.1
    assert abs(estimates.rate("b") - estimates.rate("base")) < 0.1


@pytest.mark.parametrize("estimator", ALL[1:], ids=lambda one: one.name)
def test_intervals_cover_what_is_true(estimator: Estimator) -> None:
    """Worlds drawn from the model itself: 95% intervals hold the truth about as often as they say."""
    rng = random.Random(5)
    inside = total = 0
    for _ in range(40):
        rates = {"base": 0.6}
        for k in range(4):
            rates[f"p{k}"] = min(0.98, max(0.02, 0.6 + rng.gauss(0, 0.05)))
        found = [drawn(pack, rate, at, rng) for at, (pack, rate) in enumerate(rates.items())]
        estimates = estimator.estimate(found)
        for pack, rate in rates.items():
            low, high = estimates.interval(pack)
            inside += low <= rate <= high
            total += 1
    assert 0.88 <= inside / total <= 1.0


def drawn(pack: str, rate: float, at: int, rng: random.Random) -> Evidence:
    counts = {d: (sum(rng.random() < rate for _ in range(2)), 2) for d in DOCUMENTS}
    parents = ("base",) if at else ()
    lines = frozenset({f"+x:{pack}"}) if at else frozenset[str]()
    return Evidence(pack, at, parents, counts=counts, validated=50, lines=lines)


def test_the_leader_is_the_best_member_and_of_equals_the_earliest() -> None:
    packs = [BASE, tried("a", 16, 20, 1), tried("b", 16, 20, 2), tried("c", 19, 20, 3, member=False)]
    assert leader_of(packs, MeanEstimator().estimate(packs)) == "a"
    with pytest.raises(ValueError, match="no pack was tried"):
        leader_of([Evidence("x")], NormalEstimates((), [], []))


def test_better_is_a_probability() -> None:
    estimates = NormalEstimates(("a", "b"), [0.7, 0.6], [[0.01, 0.005], [0.005, 0.01]])
    assert estimates.better("a", "b") == pytest.approx(0.5 * (1 + math.erf(0.1 / math.sqrt(2 * 0.01))))
    assert estimates.better("a", "b") + estimates.better("b", "a") == pytest.approx(1)
    assert NormalEstimates(("a", "b"), [0.5, 0.5], [[0, 0], [0, 0]]).better("a", "b") == 0.5


def test_draws_have_the_moments_of_the_estimates_and_repeat_themselves() -> None:
    estimates = NormalEstimates(("a", "b"), [0.7, 0.5], [[0.01, 0.008], [0.008, 0.01]])
    draws = estimates.draw(["b", "a"], 3, 4000)
    assert draws == estimates.draw(["b", "a"], 3, 4000) != estimates.draw(["b", "a"], 4, 4000)
    b, a = zip(*draws, strict=True)
    assert fmean(a) == pytest.approx(0.7, abs=0.01)
    assert fmean((x - 0.7) * (y - 0.5) for x, y in zip(a, b, strict=True)) == pytest.approx(0.008, abs=0.001)


def chosen(selector: Boltzmann | Thompson | Greedy, packs: Sequence[str] = ("a", "b")) -> list[float]:
    return selector.probabilities(packs, NormalEstimates(("a", "b"), [0.7, 0.6], [[0.01, 0], [0, 0.01]]), 1)


def test_selectors_give_probabilities() -> None:
    assert chosen(Boltzmann(0.1)) == pytest.approx([math.e / (1 + math.e), 1 / (1 + math.e)])
    assert chosen(Greedy()) == [1.0, 0.0]
    wins = chosen(Thompson(2000))
    assert sum(wins) == pytest.approx(1)
    assert wins[0] == pytest.approx(0.76, abs=0.03)
