"""Examinations: a pack on a split under a seed block, made once, ever."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import asdict

from autodata.checkpoints.errors import Stopped
from autodata.checkpoints.writes import EvaluationHead, record_evaluated, record_evaluating
from autodata.models.seeds import seed_for
from autodata.nodes.optimizer.evaluator import EvaluationRequest, Lost
from autodata.nodes.optimizer.events import EvaluatedEvent, EvaluatingEvent
from autodata.nodes.optimizer.population import CONFIRM
from autodata.nodes.optimizer.state import Result, Search
from autodata.prompts import PromptPack


def evaluation_id(split: str, pack: str, block: int) -> str:
    """Return the id of a validation or test evaluation."""
    return f"{split}-{pack}-b{block}"


def training_id(pack: str, iteration: int) -> str:
    """Return the id of the evaluation of a parent on its iteration's minibatch."""
    return f"train-{pack}-i{iteration}"


def arranged(documents: Sequence[str], block: int, run_seed: int) -> tuple[str, ...]:
    """Return a block's documents in its order, for blocks that are seldom gone through to the end.

    Each block has an order of its own, but for the first, so that no document is tried more often than others.
    """
    found = list(documents)
    if 0 < block < CONFIRM:
        random.Random(seed_for(run_seed, "block", block)).shuffle(found)  # noqa: S311 - a reproducible order
    return tuple(found)


async def examine(
    search: Search,
    pack: PromptPack,
    split: str,
    block: int,
    *,
    iteration: int,
    documents: Sequence[str] | None = None,
    lost: Lost | None = None,
) -> Result:
    """Return the evaluation of a pack: read back when it was made before, gone on with when it was stopped early.

    `documents` are those of a minibatch; without them all of the split. Raises the errors that end a session, also when
    every document errored: that is no score.
    """
    evaluation = training_id(pack.version, iteration) if documents else evaluation_id(split, pack.version, block)
    archive = search.archive
    async with search.evaluating.setdefault(evaluation, asyncio.Lock()):
        known = await archive.result(evaluation)
        if known and known.complete:
            return known
        wanted = tuple(documents) if documents else await archive.documents(split)
        if split == "validate" and not search.acceptance.shared:
            wanted = arranged(wanted, block, search.run_seed)
        head = EvaluationHead(evaluation, pack.version, split, block)
        if known is None:
            await record_evaluating(archive.store, head, documents=len(wanted), n=iteration)
        search.on_event(EvaluatingEvent(**asdict(head), iteration=iteration, documents=len(wanted)))
        trials = await search.evaluator.evaluate(
            EvaluationRequest(evaluation, pack, split, block, wanted, lost, search.settings.wave)
        )
        result = Result(evaluation, pack.version, split, block, trials, complete=len(trials) == len(wanted))
        if trials and result.score is None:
            # Nothing was found out: the evaluation stays open, and a later session takes its documents up again.
            raise Stopped(f"every document of evaluation {evaluation} errored", failed=True)
        passed = sum(trial.passed for trial in trials)
        score = None if result.score is None else float(result.score)
        counted = score if result.complete else None
        await record_evaluated(archive.store, head, trials, passed=passed, complete=result.complete, score=counted)
        search.on_event(
            EvaluatedEvent(
                **asdict(head),
                iteration=iteration,
                made=len(trials),
                passed=passed,
                complete=result.complete,
                score=score,
            )
        )
        return result
