"""Examinations: a pack on a split under a seed block, made once, ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from typing_extensions import TypedDict

from autodata.checkpoints.errors import Stopped
from autodata.checkpoints.records import DocumentStatus
from autodata.nodes.optimizer.evaluator import EvaluationRequest, Lost, Trial
from autodata.nodes.optimizer.events import EvaluatedEvent, EvaluatingEvent
from autodata.nodes.optimizer.state import Result, Search
from autodata.prompts import PromptPack


class Head(TypedDict):
    """What an evaluation is of."""

    evaluation: str
    pack: str
    split: str
    block: int


def evaluation_id(split: str, pack: str, block: int) -> str:
    """Return the id of a validation or test evaluation."""
    return f"{split}-{pack}-b{block}"


def training_id(pack: str, iteration: int) -> str:
    """Return the id of the evaluation of a parent on its iteration's minibatch."""
    return f"train-{pack}-i{iteration}"


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
        head: Head = {"evaluation": evaluation, "pack": pack.version, "split": split, "block": block}
        if known is None:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            row = {**head, "documents": len(wanted), "iteration": iteration, "created_at": now}
            await archive.save(evaluations=[row])
        search.on_event(EvaluatingEvent(**head, iteration=iteration, documents=len(wanted)))
        trials = await search.evaluator.evaluate(
            EvaluationRequest(evaluation, pack, split, block, wanted, lost, search.settings.wave)
        )
        result = Result(evaluation, pack.version, split, block, trials, complete=len(trials) == len(wanted))
        if trials and result.score is None:
            # Nothing was found out: the evaluation stays open, and a later session takes its documents up again.
            raise Stopped(f"every document of evaluation {evaluation} errored", failed=True)
        passed = sum(trial.passed for trial in trials)
        await archive.save(
            trials=[_trial_row(evaluation, position, trial) for position, trial in enumerate(trials)],
            evaluations=[
                {
                    **head,
                    "state": "done" if result.complete else "stopped",
                    "passed": passed,
                    "errored": sum(trial.status is DocumentStatus.ERRORED for trial in trials),
                    "calls": sum(trial.calls for trial in trials),
                    "score": None if result.score is None or not result.complete else float(result.score),
                }
            ],
        )
        search.on_event(
            EvaluatedEvent(
                **head,
                iteration=iteration,
                made=len(trials),
                passed=passed,
                complete=result.complete,
                score=None if result.score is None else float(result.score),
            )
        )
        return result


def _trial_row(evaluation: str, position: int, trial: Trial) -> dict[str, object]:
    return {
        "evaluation": evaluation,
        "document_id": trial.document_id,
        "position": position,
        "status": trial.status.value,
        "rounds": trial.rounds,
        "calls": trial.calls,
    }
