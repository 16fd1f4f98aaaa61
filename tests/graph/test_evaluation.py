"""Evaluations of the optimiser through the real runner: own statuses, nothing paid twice, stops that keep all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.errors import Stopped
from autodata.checkpoints.records import DocumentStatus
from autodata.nodes.optimizer.evaluator import EvaluationRequest, Trial
from autodata.prompts import PromptPack
from autodata.prompts.pack import parse_prompt
from autodata.runner.config import RunConfig
from autodata.runner.ingest import add_documents
from autodata.runner.optimization.evaluator import DocumentEvaluator
from autodata.runner.optimization.failures import LedgerTrajectories
from autodata.runner.run_folder import RunFolder, open_run_folder
from tests.support.runs import generated

MODELS = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}


def config(**values: Any) -> RunConfig:
    return RunConfig.model_validate({"models": MODELS, "acceptance": "meta", "max_rounds": 3, **values})


@asynccontextmanager
async def opened(
    folder: Path, documents: int = 8, **values: Any
) -> AsyncIterator[tuple[DocumentEvaluator, RunFolder, tuple[str, ...]]]:
    settings = config(**values)
    async with open_run_folder(settings, folder) as run_folder:
        made = generated(documents)
        await add_documents(run_folder.ledger, made)
        yield DocumentEvaluator(settings, run_folder), run_folder, tuple(document.document_id for document in made)


def request(
    pack: PromptPack, documents: Sequence[str], name: str = "validate-x-b0", **values: Any
) -> EvaluationRequest:
    return EvaluationRequest(name, pack, "validate", values.pop("block", 0), tuple(documents), **values)


async def calls(run_folder: RunFolder) -> int:
    return int((await run_folder.ledger.read("select count(*) as n from calls"))[0]["n"])


@pytest.mark.slow
async def test_an_evaluation_has_statuses_of_its_own(tmp_path: Path) -> None:
    async with opened(tmp_path / "opt") as (evaluator, run_folder, ids):
        trials = await evaluator.evaluate(request(run_folder.pack, ids))
        assert [trial.document_id for trial in trials] == list(ids)
        assert {trial.status for trial in trials} <= {DocumentStatus.ACCEPTED, DocumentStatus.REJECTED}
        assert 0 < sum(trial.passed for trial in trials) < len(ids)
        assert {row["status"] for row in await run_folder.ledger.read("select status from documents")} == {"pending"}
        threads = {row["thread_id"] for row in await run_folder.ledger.read("select distinct thread_id from rounds")}
        assert threads == {f"validate-x-b0/{document}" for document in ids}
        assert sum(trial.calls for trial in trials) == await calls(run_folder)


@pytest.mark.slow
async def test_what_was_evaluated_costs_nothing_again(tmp_path: Path) -> None:
    async with opened(tmp_path / "opt") as (evaluator, run_folder, ids):
        first = await evaluator.evaluate(request(run_folder.pack, ids))
        paid = await calls(run_folder)
        assert await evaluator.evaluate(request(run_folder.pack, ids)) == first
        assert await calls(run_folder) == paid
    async with opened(tmp_path / "opt") as (evaluator, run_folder, ids):
        assert await evaluator.evaluate(request(run_folder.pack, ids)) == first
        assert await calls(run_folder) == paid


@pytest.mark.slow
async def test_a_block_fixes_all_seeds(tmp_path: Path) -> None:
    async with opened(tmp_path / "opt", documents=12) as (evaluator, run_folder, ids):
        packs = [await evaluator.evaluate(request(run_folder.pack, ids, f"e{k}", block=k // 2)) for k in range(4)]
        statuses = [[(trial.status, trial.rounds) for trial in trials] for trials in packs]
        assert statuses[0] == statuses[1]
        assert statuses[2] == statuses[3]
        assert statuses[0] != statuses[2]


@pytest.mark.slow
async def test_a_lost_evaluation_stops_after_its_batch_and_goes_on_later(tmp_path: Path) -> None:
    async with opened(tmp_path / "opt") as (evaluator, run_folder, ids):
        looks: list[int] = []

        def lost(trials: Sequence[Trial]) -> bool:
            looks.append(len(trials))
            return len(trials) >= 6

        assert len(await evaluator.evaluate(request(run_folder.pack, ids, lost=lost, batch=3))) == 6
        assert looks == [0, 3, 6]
        paid = await calls(run_folder)
        whole = await evaluator.evaluate(request(run_folder.pack, ids))
        assert len(whole) == 8
        assert await calls(run_folder) == paid + sum(trial.calls for trial in whole[6:])


@pytest.mark.slow
async def test_a_spent_budget_keeps_what_was_paid_for(tmp_path: Path) -> None:
    async with opened(tmp_path / "opt", budget={"max_calls": 40}) as (evaluator, run_folder, ids):
        with pytest.raises(Stopped, match="--max-calls 40 is spent"):
            await evaluator.evaluate(request(run_folder.pack, ids))
        assert await calls(run_folder) == 40
        with pytest.raises(Stopped):  # the session is over for every other evaluation, too
            await evaluator.evaluate(request(run_folder.pack, ids, "another"))
    async with opened(tmp_path / "whole") as (evaluator, run_folder, ids):
        undisturbed = await evaluator.evaluate(request(run_folder.pack, ids))
        whole = await calls(run_folder)
    async with opened(tmp_path / "opt") as (evaluator, run_folder, ids):
        assert await evaluator.evaluate(request(run_folder.pack, ids)) == undisturbed
        assert await calls(run_folder) == whole


async def test_a_dead_endpoint_stops_the_session_and_scores_nothing(tmp_path: Path) -> None:
    dead: dict[str, Any] = {
        "simulated": {"faults": {"outage": True}},
        "retries": {"max_attempts": 1, "base_seconds": 0},
    }
    async with opened(tmp_path / "opt", **dead) as (evaluator, run_folder, ids):
        with pytest.raises(Stopped) as stopped:
            await evaluator.evaluate(request(run_folder.pack, ids))
        assert stopped.value.failed
        assert {row["status"] for row in await run_folder.ledger.read("select status from trials")} == {"pending"}


def lenient(pack: PromptPack) -> PromptPack:
    """A pack whose quality verifier fails whatever it sees: seen in rounds, it is not what the final check uses."""
    text = pack["quality_verifier"].text.replace("You check an example", "You look at an example")
    prompts = {**pack.prompts, "quality_verifier": parse_prompt("quality_verifier", text, "test")}
    return PromptPack(pack.name, prompts)


@pytest.mark.slow
async def test_the_final_check_uses_the_frozen_prompt(tmp_path: Path) -> None:
    async with opened(tmp_path / "opt") as (evaluator, run_folder, ids):
        pack = lenient(run_folder.pack)
        trials = await evaluator.evaluate(request(pack, ids))
        assert any(trial.passed for trial in trials)
        rows = await run_folder.ledger.read("select node, messages_hash from calls where role = 'quality_verifier'")
        of_rounds = {row["messages_hash"] for row in rows if row["node"] == "quality_verifier"}
        of_ends = {row["messages_hash"] for row in rows if row["node"] == "accept"}
        assert of_ends
        assert not of_rounds & of_ends  # the same candidates, other words


@pytest.mark.slow
async def test_failures_are_read_whole_from_the_ledger(tmp_path: Path) -> None:
    async with opened(tmp_path / "opt", documents=4) as (evaluator, run_folder, ids):
        await evaluator.evaluate(request(run_folder.pack, ids))
        await evaluator.evaluate(request(run_folder.pack, ids, "another", block=1))
        failures = await LedgerTrajectories(run_folder.ledger).failures("validate-x-b0", ids)
        rows = await run_folder.ledger.read(
            "select * from rounds where outcome = 'rejected' and thread_id like 'validate-x-b0/%' order by n"
        )
        assert {failure.round_id for failure in failures} == {row["round_id"] for row in rows}
        order = [ids.index(failure.document_id) for failure in failures]
        assert order == sorted(order)
        solved = [failure for failure in failures if failure.exchanges]
        assert solved
        for exchange in solved[0].exchanges:
            assert exchange.answer == await run_folder.ledger.get(f"answer/{exchange.attempt_id}")
            assert exchange.score is not None
            assert len(exchange.marks) == len(solved[0].candidate["rubric"])
        assert {exchange.stage for failure in solved for exchange in failure.exchanges} >= {"weak"}
