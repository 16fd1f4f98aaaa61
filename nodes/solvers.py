"""Weak and strong solver: attempt the question several times, seeing context and question only (law 6)."""

from __future__ import annotations

import asyncio
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.records import Attempt, Stage, attempt_id, canonical_json, preview
from autodata.nodes.state import Context, Desk, State, all_of, plain
from autodata.prompts import fence


async def weak_solver(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Make the weak attempts that the policy still needs, side by side."""
    return await _solve(Desk(state, runtime), Stage.WEAK)


async def strong_solver(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Make the strong attempts that the policy still needs, side by side."""
    return await _solve(Desk(state, runtime), Stage.STRONG)


async def _solve(desk: Desk, stage: Stage) -> dict[str, Any]:
    """Every attempt runs to its end before an error of one is raised: a paid reply is never thrown away."""
    desk.require_passed()
    known = desk.attempts
    made = sum(attempt.stage is stage for attempt in known)
    indices = range(made, made + desk.ruling().more)
    results = await asyncio.gather(*(_attempt(desk, stage, index) for index in indices), return_exceptions=True)
    done = all_of(results)
    settings = desk.services.caller.roles[f"{stage.value}_solver"].settings
    mode = canonical_json({"privileged": desk.services.domain.privileged_strong and stage is Stage.STRONG})
    await desk.services.store.save(
        attempts=[
            {
                "attempt_id": attempt.attempt_id,
                "round_id": desk.round_id,
                "candidate_id": attempt.candidate_id,
                "stage": stage.value,
                "idx": attempt.index,
                "answer": answer,
                "chars": attempt.chars,
                "truncated": int(attempt.truncated),
                "answered": int(attempt.answered),
                "model": settings.model,
                "mode": mode,
            }
            for attempt, answer in done
        ]
    )
    new = [plain(attempt) for attempt, _ in done]
    for attempt in new:
        desk.emit("attempt", attempt=attempt)
    return {"attempts": [*(plain(attempt) for attempt in known), *new]}


async def _attempt(desk: Desk, stage: Stage, index: int) -> tuple[Attempt, str]:
    role, candidate = f"{stage.value}_solver", desk.candidate
    values = {"context": fence("context", candidate.context), "question": fence("question", candidate.question)}
    if stage is Stage.STRONG and desk.services.domain.privileged_strong:
        values["source"] = fence("document", await desk.source())
    messages = desk.services.pack[role].render(values)
    reply = await desk.services.caller.text(desk.site(role, index=str(index)), messages)
    identity = attempt_id(desk.round_id, stage, index)
    attempt = Attempt(
        attempt_id=identity,
        candidate_id=candidate.candidate_id,
        stage=stage,
        index=index,
        answer_ref=f"answer/{identity}",
        preview=preview(reply.answer),
        chars=len(reply.answer),
        truncated=reply.truncated,
        answered=bool(reply.answer),
    )
    return attempt, reply.answer
