"""Acceptances: when a mutant joins, what is tried to find that out, and how often the sequential one errs."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from autodata.checkpoints.records import DocumentStatus
from autodata.nodes.optimizer.acceptance import Ask, Comparison, Ruling, Sequential, Strict
from autodata.nodes.optimizer.estimate import Evidence, PosteriorEstimator
from autodata.nodes.optimizer.evaluator import Trial

A, R, E = DocumentStatus.ACCEPTED, DocumentStatus.REJECTED, DocumentStatus.ERRORED


def trials(*statuses: DocumentStatus) -> list[Trial]:
    return [Trial(f"d{k}", status) for k, status in enumerate(statuses)]


def seen(
    parent: Sequence[Trial] = (),
    mutant: Sequence[Trial] = (),
    *,
    complete: bool = False,
    better: float = 0.5,
    validated: tuple[int, int] = (0, 0),
) -> Comparison:
    return Comparison(1, parent, mutant, complete, validated, lambda: better)


def test_strict_is_strictly_better_on_the_shared_block() -> None:
    rule = Strict().rule
    parent = trials(A, R, R)
    assert rule(seen(parent)) == Ask("mutant")
    assert rule(seen(parent, trials(A, A, R), complete=True)).outcome == "accepted"  # type: ignore[union-attr]
    equal = rule(seen(parent, trials(R, A, R), complete=True))
    assert isinstance(equal, Ruling)
    assert (equal.outcome, equal.reason) == ("rejected", "0.3333 against the parent's 0.3333 on block 1")
    lost = rule(seen(trials(E, E, A), trials(A, A, E), complete=True))
    assert isinstance(lost, Ruling)
    assert lost.outcome == "errored"


def test_strict_racing_gives_up_what_can_no_longer_win() -> None:
    rule = Strict("exact").rule
    given_up = rule(seen(trials(A, A, A, R), trials(R, R)))
    assert isinstance(given_up, Ruling)
    assert given_up.reason == "given up after 2 documents, 0 of them passed, against the parent's 0.75 on block 1"
    going_on = rule(seen(trials(A, R, R, R), trials(R, R)))
    assert isinstance(going_on, Ask)
    assert going_on.lost is not None


def test_sequential_asks_for_whoever_has_less_and_stops_at_its_bounds() -> None:
    rule = Sequential(0.8, 0.3, 5, 50).rule
    assert rule(seen(validated=(0, 0), better=0.99)) == Ask("mutant", 5)  # nothing was seen of it yet
    assert rule(seen(mutant=trials(A), validated=(3, 5))) == Ask("parent", 5)
    assert rule(seen(mutant=trials(A), validated=(9, 5))) == Ask("mutant", 5)
    assert rule(seen(mutant=trials(A), validated=(9, 5), better=0.81)).outcome == "accepted"  # type: ignore[union-attr]
    assert rule(seen(mutant=trials(A), validated=(9, 5), better=0.29)).outcome == "rejected"  # type: ignore[union-attr]


@pytest.mark.parametrize(("better", "outcome"), [(0.51, "accepted"), (0.5, "rejected")])
def test_sequential_is_bounded(better: float, outcome: str) -> None:
    ruling = Sequential(0.8, 0.3, 5, 50).rule(seen(mutant=trials(*[A] * 50), validated=(50, 50), better=better))
    assert isinstance(ruling, Ruling)
    assert (ruling.outcome, ruling.better) == (outcome, better)
    assert "the most that are tried" in ruling.reason


def test_sequential_errs_about_as_seldom_as_its_bound_says() -> None:
    """Effects drawn from the prior: of what is accepted at P > a, a share of at least a is truly better."""
    rng = random.Random(1)
    right = accepted = 0
    for _ in range(150):
        effect = rng.gauss(0, 0.05)
        good = sequentially(0.6 + effect, rng, Sequential(0.8, 0.35, 5, 200))
        accepted += good
        right += good and effect > 0
    assert accepted > 30
    assert right / accepted > 0.72


def sequentially(rate: float, rng: random.Random, rule: Sequential) -> bool:
    rates, counts = {"parent": 0.6, "mutant": rate}, {"parent": [60, 100], "mutant": [0, 0]}
    while True:
        evidence = [
            Evidence(name, at, ("parent",) if at else (), counts={"d": (counts[name][0], counts[name][1])})
            for at, name in enumerate(("parent", "mutant"))
        ]
        estimates = PosteriorEstimator().estimate(evidence)
        made = [Trial(f"d{k}", R) for k in range(counts["mutant"][1])]
        validated = (counts["parent"][1], counts["mutant"][1])
        answer = rule.rule(Comparison(1, (), made, False, validated, lambda e=estimates: e.better("mutant", "parent")))  # type: ignore[misc]
        if isinstance(answer, Ruling):
            return answer.outcome == "accepted"
        counts[answer.side][0] += sum(rng.random() < rates[answer.side] for _ in range(rule.batch))
        counts[answer.side][1] += rule.batch
