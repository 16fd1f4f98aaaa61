"""Verifier: marks every attempt that lacks a mark; then the acceptance policy, in code, answers what comes next."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.records import Attempt, Decision, Mark, Stage, Verdict
from autodata.checkpoints.writes import Marked, Ruled, record_marks
from autodata.domains.acceptance.policies import Planned, Ruling
from autodata.domains.acceptance.rubric_score import mean
from autodata.domains.tasks.base import Scored
from autodata.nodes.context import Context
from autodata.nodes.early_marks import Found
from autodata.nodes.events import MarkEvent, VerdictEvent
from autodata.nodes.judges import judged
from autodata.nodes.state import State, plain
from autodata.nodes.step import Step, all_of


async def verifier(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Mark, rule, record. One node behind both solvers."""
    step = Step(state, runtime)
    attempts = step.attempts
    new = [attempt for attempt in attempts if attempt.mark is None]
    results = await asyncio.gather(*(_marked(step, attempt) for attempt in new), return_exceptions=True)
    found: list[Marked] = []
    for attempt, (scored, decider) in zip(new, all_of(results), strict=True):
        mark = Mark(attempt_id=attempt.attempt_id, score=scored.score, met=scored.met, decided_by=decider)
        found.append(Marked(mark, scored.reasons))
        step.emit(MarkEvent(**step.place, mark=mark, stage=attempt.stage))
    marked = {one.mark.attempt_id: one.mark for one in found}
    attempts = [a.model_copy(update={"mark": marked[a.attempt_id]}) if a.attempt_id in marked else a for a in attempts]
    ruling = step.ruling(attempts)
    verdict = _verdict(step, ruling, attempts)
    ruled = None
    if ruling.decision is not Decision.MORE:
        planned = _planned(step.services.domain.planned, verdict.stage)
        ruled = Ruled(verdict, planned, made=sum(attempt.stage is verdict.stage for attempt in attempts))
        step.emit(VerdictEvent(**step.place, verdict=verdict))
    criteria = step.services.domain.scorer.criteria(step.candidate)
    await record_marks(step.services.store, step.round_id, found, criteria, ruled)
    if ruled and (basis := step.stopping) and step.services.stopping:
        scores = (step.scores(Stage.WEAK, attempts), step.scores(Stage.STRONG, attempts))
        await step.services.stopping.note(step.round_id, basis, *scores, verdict.decision)
    rejection = None
    if verdict.failure_mode:
        rejection = {"failure_mode": verdict.failure_mode.value, "reason": verdict.summary}
    return {"attempts": [plain(attempt) for attempt in attempts], "verdict": plain(verdict), "rejection": rejection}


async def _marked(step: Step, attempt: Attempt) -> Found:
    """Return what is found in an attempt: by the mark that is on its way, where one is, else by one begun now."""
    if early := step.context.early_marks:
        begun = early.take(attempt)
        if begun is not None:
            return await begun
    answer = await step.services.blobs.get(attempt.answer_ref) if attempt.answered else ""
    return await mark_of(step, attempt, answer)


async def mark_of(step: Step, attempt: Attempt, answer: str) -> Found:
    """Score one attempt: by rule when it has no answer or code can decide, else by the judge."""
    task_type, candidate = step.services.domain.scorer, step.candidate
    if not attempt.answered:
        return Scored(Fraction(0), (), ()), "truncated" if attempt.truncated else "probe"
    if by_code := await asyncio.to_thread(task_type.scored_by_code, candidate, answer):
        return by_code, "code"
    return await judged(step, answer, f"{attempt.stage.value}/{attempt.index}"), "judge"


def _verdict(step: Step, ruling: Ruling, attempts: list[Attempt]) -> Verdict:
    """Attach the means of the solvers whose planned attempts were all made.

    Where attempts stop early there are none at all: whether all were made depends on how they came out, so the mean of
    those would be a constant of the rule, not a figure of the model.
    """
    planned, basis = step.services.domain.planned, step.stopping
    curtailed = planned.curtail or bool(basis and not basis.walked and ruling.decision is Decision.REJECT)
    means = {
        stage: None
        if curtailed or len(scores := step.scores(stage, attempts)) != _planned(planned, stage)
        else mean(scores)
        for stage in Stage
    }
    weak, strong = means[Stage.WEAK], means[Stage.STRONG]
    failed = [check for check in ruling.checks if not check.passed]
    return Verdict(
        candidate_id=step.candidate.candidate_id,
        preset=step.services.policy.name,
        stage=ruling.stage,
        decision=ruling.decision,
        failure_mode=ruling.failure_mode,
        checks=ruling.checks,
        weak_mean=weak,
        strong_mean=strong,
        gap=strong - weak if weak is not None and strong is not None else None,
        summary="; ".join(map(str, failed or ruling.checks)),
    )


def _planned(planned: Planned, stage: Stage) -> int:
    return planned.weak if stage is Stage.WEAK else planned.strong
