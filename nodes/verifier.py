"""Verifier: marks every attempt that lacks a mark; then the acceptance policy, in code, answers what comes next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.errors import UnusableReply
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
from autodata.nodes.together import in_groups, marked_together, together_of


async def verifier(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Mark, rule, record. One node behind both solvers."""
    step = Step(state, runtime)
    attempts = step.attempts
    new = [attempt for attempt in attempts if attempt.mark is None]
    groups = in_groups(new, together_of(step))
    results = await asyncio.gather(*(_marked(step, group) for group in groups), return_exceptions=True)
    of_attempt = dict(zip((a.attempt_id for group in groups for a in group), chain(*all_of(results)), strict=True))
    found: list[Marked] = []
    for attempt in new:
        scored, decider = of_attempt[attempt.attempt_id]
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


async def _marked(step: Step, group: Sequence[Attempt]) -> list[Found]:
    """Return what is found in attempts: by the marks that are on their way, where they are, else by some begun now."""
    if early := step.context.early_marks:
        begun = [task for attempt in group if (task := early.take(attempt))]
        results = await asyncio.gather(*begun, return_exceptions=True)
        if len(begun) == len(group):
            return all_of(results)
    answers = [await step.services.blobs.get(one.answer_ref) if one.answered else "" for one in group]
    return await marks_of_group(step, list(zip(group, answers, strict=True)))


async def marks_of_group(step: Step, made: Sequence[tuple[Attempt, str]]) -> list[Found]:
    """Score attempts of one solver with their answers; those that need the judge share a call.

    Where its reply cannot be read, each is asked about alone.
    """
    found = [await _by_rule(step, attempt, answer) for attempt, answer in made]
    asked = iter(await _by_one_call(step, [one for one, known in zip(made, found, strict=True) if known is None]))
    return [known or next(asked) for known in found]


async def _by_one_call(step: Step, made: Sequence[tuple[Attempt, str]]) -> list[Found]:
    if len(made) > 1:
        index = f"{made[0][0].stage.value}/{'+'.join(str(attempt.index) for attempt, _ in made)}"
        with suppress(UnusableReply):
            return [(one, "judge") for one in await marked_together(step, [answer for _, answer in made], index)]
    return all_of(await asyncio.gather(*(_by_judge(step, *one) for one in made), return_exceptions=True))


async def mark_of(step: Step, attempt: Attempt, answer: str) -> Found:
    """Score one attempt: by rule when it has no answer or code can decide, else by the judge."""
    return await _by_rule(step, attempt, answer) or await _by_judge(step, attempt, answer)


async def _by_rule(step: Step, attempt: Attempt, answer: str) -> Found | None:
    """Score an attempt that has no answer, or that code can decide; None for what needs the judge."""
    if not attempt.answered:
        return Scored(Fraction(0), (), ()), "truncated" if attempt.truncated else "probe"
    by_code = await asyncio.to_thread(step.services.domain.scorer.scored_by_code, step.candidate, answer)
    return (by_code, "code") if by_code else None


async def _by_judge(step: Step, attempt: Attempt, answer: str) -> Found:
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
