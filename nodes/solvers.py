"""Weak and strong solver: attempt the question several times, seeing context and question only (rule 6).

The exception is a privileged mode, which a domain or a configuration names.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.errors import UnusableReply
from autodata.checkpoints.ids import attempt_id
from autodata.checkpoints.records import Attempt, Stage
from autodata.checkpoints.texts import preview
from autodata.checkpoints.writes import record_attempts
from autodata.models.caller import Reply
from autodata.nodes.code_checks import rejection_by_code, rejection_of
from autodata.nodes.context import Context
from autodata.nodes.events import AttemptEvent
from autodata.nodes.solver_modes import Mode, answered, mode_of
from autodata.nodes.state import State, plain
from autodata.nodes.step import Step, all_of
from autodata.nodes.verifier import mark_of


async def weak_solver(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Make the weak attempts that the policy still needs, side by side.

    Where no quality verifier stands before it, code looks at the candidate once more before anybody is paid: it may be
    one that waited in the queue, or was edited since its round was opened. What code refuses is sent back.
    """
    step = Step(state, runtime)
    if not step.services.domain.quality_check and not step.attempts:
        step.require_passed()
        if by_code := await rejection_by_code(step, step.candidate):
            return {"rejection": rejection_of(*by_code)}
    begun: dict[str, Any] = {}
    if stopping := step.services.stopping:
        step.require_passed()
        begun["stopping"] = plain(await stopping.basis_of(step.round_id, step.candidate_id))
        step = Step({**state, **begun}, runtime)  # type: ignore[typeddict-item]  # the key is one of State's
    return {**begun, **await _solve(step, Stage.WEAK), "rejection": None}


async def strong_solver(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Make the strong attempts that the policy still needs, side by side."""
    return await _solve(Step(state, runtime), Stage.STRONG)


async def _solve(step: Step, stage: Stage) -> dict[str, Any]:
    """Every attempt runs to its end before an error of one is raised: a paid reply is never thrown away.

    Where nobody can come in between, each is marked as soon as its answer is in, and the verifier takes the mark up.
    """
    step.require_passed()
    known = step.attempts
    made = sum(attempt.stage is stage for attempt in known)
    indices = range(made, made + step.ruling().more)
    mode = mode_of(step, stage)
    early = step.context.early_marks
    failed: list[BaseException] = []

    async def made_at(index: int) -> tuple[Attempt, str]:
        try:
            attempt, answer = await attempted(step, stage, index, mode)
        except BaseException as error:
            failed.append(error)
            raise
        if early and not failed:  # once one failed the verifier has no turn in this session
            early.begin(attempt, partial(mark_of, step, attempt, answer))
        return attempt, answer

    results = await asyncio.gather(*map(made_at, indices), return_exceptions=True)
    done = all_of(results)
    model = step.services.caller.roles[f"{stage.value}_solver"].settings.model
    await record_attempts(step.services.store, step.round_id, done, model=model, mode=mode.recorded())
    new = [attempt for attempt, _ in done]
    for attempt in new:
        step.emit(AttemptEvent(**step.place, attempt=attempt))
    return {"attempts": [plain(attempt) for attempt in [*known, *new]]}


async def attempted(step: Step, stage: Stage, index: int, mode: Mode) -> tuple[Attempt, str]:
    """Make attempt `index` (0-based) of a solver at the current candidate; return it, unmarked, with its answer.

    Raises the errors of a call, and UnusableReply where nothing was found out.
    """
    reply, task_type = await _answer(step, stage, index, mode), step.services.domain.scorer
    identity = attempt_id(step.attempts_of, stage, index)
    attempt = Attempt(
        attempt_id=identity,
        candidate_id=step.candidate_id,
        stage=stage,
        index=index,
        answer_ref=f"answer/{identity}",
        preview=preview(reply.answer),
        chars=len(reply.answer),
        truncated=reply.truncated,
        answered=task_type.holds_answer(reply.answer) if reply.truncated else bool(reply.answer),
    )
    return attempt, reply.answer


async def _answer(step: Step, stage: Stage, index: int, mode: Mode) -> Reply:
    """Return an attempt's reply. Where the domain probes, an empty one counts once the endpoint is seen to answer.

    Raises UnusableReply when it does not: then nothing was found out, and the evaluation is discarded.
    """
    caller, role = step.services.caller, f"{stage.value}_solver"
    nothing = Reply("", "stop", None, None, None)
    site = step.site("probe", role, index=f"{stage.value}/{index}")
    if step.services.domain.probe and await caller.answers(site, may_pay=False):
        return nothing  # it counted before another attempt of the round failed
    try:
        return await answered(step, stage, index, mode)
    except UnusableReply as error:
        if not step.services.domain.probe:
            raise
        if await caller.answers(site):
            return nothing
        raise UnusableReply(f"{error}; nor was '2 + 2' answered: the evaluation is discarded") from error
