"""The optimiser's evaluations in the simulated world, and the page that says what its rules are worth."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autodata.checkpoints.records import DocumentStatus
from autodata.models.simulated.rules import META_RULES
from autodata.nodes.optimizer.evaluator import EvaluationRequest, Evaluator, Trial
from autodata.nodes.optimizer.trajectories import Trajectories
from autodata.prompts import load_pack
from benchmarks.optimizer_world import PLAIN, SIZES, WorldEvaluator, splits, true_rate, world_config
from benchmarks.world_tables import BEGIN, DOCS, END, measured, rendered, rows, with_rules

CS = load_pack("cs")
IDS = tuple(document.document_id for document in splits()["validate"])
TABLES: dict[str, Any] = json.loads((DOCS / "optimizer-world.json").read_text("utf-8"))


def request(evaluation: str = "e1", **changes: Any) -> EvaluationRequest:
    values: dict[str, Any] = {"pack": CS, "split": "validate", "block": 0, "documents": IDS, **changes}
    return EvaluationRequest(evaluation, **values)


async def test_an_evaluation_is_paid_for_once_and_is_the_same_again() -> None:
    evaluator = WorldEvaluator(world_config())
    first = await evaluator.evaluate(request())
    assert [trial.document_id for trial in first] == list(IDS)
    assert {trial.status for trial in first} == {DocumentStatus.ACCEPTED, DocumentStatus.REJECTED}
    paid = evaluator.calls
    assert paid == sum(trial.calls for trial in first)
    assert await evaluator.evaluate(request()) == first
    assert evaluator.calls == paid
    assert await WorldEvaluator(world_config()).evaluate(request("another name")) == first
    assert await evaluator.evaluate(request("e2", block=1)) != first
    assert await evaluator.evaluate(request("e3", pack=with_rules(META_RULES[:1]))) != first
    assert await WorldEvaluator(world_config(seed=1)).evaluate(request()) != first


async def test_a_lost_evaluation_stops_after_a_batch_and_can_go_on() -> None:
    evaluator = WorldEvaluator(world_config())
    looks: list[int] = []

    def lost(trials: Any) -> bool:
        looks.append(len(trials))
        return len(trials) >= 10

    some = await evaluator.evaluate(request(lost=lost))
    assert (len(some), looks) == (10, [0, 5, 10])
    assert evaluator.calls == sum(trial.calls for trial in some)
    whole = await evaluator.evaluate(request())
    assert whole[:10] == some
    assert evaluator.calls == sum(trial.calls for trial in whole)


async def test_stopping_settled_attempts_saves_calls_and_changes_no_trial() -> None:
    full, soon = (WorldEvaluator(world_config({"curtail": curtail})) for curtail in (False, True))

    def outcomes(trials: tuple[Trial, ...]) -> list[tuple[str, DocumentStatus, int]]:
        return [(trial.document_id, trial.status, trial.rounds) for trial in trials]

    assert outcomes(await full.evaluate(request())) == outcomes(await soon.evaluate(request()))
    assert soon.calls < full.calls


async def test_failures_are_the_failed_rounds_whole() -> None:
    evaluator = WorldEvaluator(world_config({"curtail": False}))
    trials = await evaluator.evaluate(request(split="train"))
    failures = await evaluator.failures("e1", IDS)
    rounds = {trial.document_id: trial.rounds - trial.passed for trial in trials}
    assert len(failures) == sum(rounds.values())
    easy = next(failure for failure in failures if failure.failure_mode == "too_easy")
    assert [exchange.stage for exchange in easy.exchanges] == ["weak"] * 3
    for exchange in easy.exchanges:
        earned = sum(mark["weight"] for mark in exchange.marks if mark["met"])
        reachable = sum(mark["weight"] for mark in exchange.marks if mark["weight"] > 0)
        assert exchange.score == pytest.approx(min(1, max(0, earned / reachable)))
    assert len({exchange.attempt_id for failure in failures for exchange in failure.exchanges}) == sum(
        len(failure.exchanges) for failure in failures
    )
    assert await evaluator.failures("unknown", IDS) == []


def test_it_is_what_the_optimiser_asks_for() -> None:
    both = WorldEvaluator(world_config(PLAIN))
    evaluator: Evaluator = both
    trajectories: Trajectories = both
    assert callable(evaluator.evaluate)
    assert callable(trajectories.failures)
    assert both.config.optimize.model_dump().items() >= PLAIN.items()


def test_splits_share_no_document() -> None:
    ids = [document.document_id for made in splits(3).values() for document in made]
    assert len(set(ids)) == len(ids) == sum(SIZES.values()) == 100
    assert splits(3) == splits(3) != splits(4)


@pytest.mark.slow
def test_the_true_rate_depends_on_the_rules_alone() -> None:
    plain, error = true_rate(CS, 400)
    assert error == pytest.approx((plain * (1 - plain) / 400) ** 0.5)
    insight = [rule for rule in META_RULES if rule.name == "insight"]
    assert true_rate(with_rules(insight, 0), 400) == true_rate(with_rules(insight, 2), 400)
    assert true_rate(with_rules([rule for rule in META_RULES if rule.kind == "helpful"]), 400)[0] > plain + 4 * error


def test_the_page_holds_the_tables_of_its_json() -> None:
    page = (DOCS / "optimizer-world.md").read_text("utf-8")
    assert page.split(BEGIN)[1].split(END)[0].strip() == rendered(TABLES).strip()
    assert set(TABLES["rows"]) == set(rows())


@pytest.mark.slow
@pytest.mark.parametrize("name", rows())
def test_a_slice_of_each_row_comes_out_as_it_is_written(name: str) -> None:
    written = TABLES["rows"][name]["slice"]
    assert measured(rows()[name], written["documents"]) == written


def test_the_world_is_where_it_was_to_be() -> None:
    """The principle by which the constants were chosen, held against what was measured."""
    rate = {name: row["accepted"] / row["documents"] for name, row in TABLES["rows"].items()}
    base, best = rate["shipped prompts"], rate["all helpful rules"]
    assert base == pytest.approx(0.621, abs=0.015)
    assert 0.796 + 0.03 < best < 0.95
    for rule in META_RULES:
        gain = rate[rule.name] - base
        if rule.kind == "helpful":
            assert 0.01 < gain < 0.08, rule.name
        elif rule.kind == "harmful":
            assert gain < -0.01, rule.name
        else:
            assert abs(gain) < 0.02, rule.name
