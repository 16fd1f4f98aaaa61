"""Accept: how an accepted round ends. Makes the final check, records the round, and hands over the example."""

from __future__ import annotations

import asyncio
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.errors import BadState
from autodata.checkpoints.ids import digest
from autodata.checkpoints.numbers import tied_to_numbers
from autodata.checkpoints.records import Confirmation, Decision, DocumentStatus, Example, FailureMode, Stage, Verdict
from autodata.checkpoints.writes import record_accepted, record_rejected
from autodata.nodes.audit import require_audited
from autodata.nodes.code_checks import rejection_by_code, rejection_of
from autodata.nodes.context import Context
from autodata.nodes.events import AcceptedEvent, RejectedEvent
from autodata.nodes.quality_verifier import review
from autodata.nodes.rounds import closed_round
from autodata.nodes.state import State, plain
from autodata.nodes.step import Step


async def accept(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Close an accepted round: the final check, then the example, whole.

    What code refuses is sent back, as it is before anybody is paid: the reason becomes the round's rejection. A quality
    verifier that refuses at the final check ends the document `rejected/final_check`, without feedback (paper,
    section 3).
    """
    step = Step(state, runtime)
    services = step.services
    step.require_passed()
    verdict = Verdict.model_validate(step.state["verdict"])
    if verdict.candidate_id != step.candidate_id:
        raise BadState("only the exact candidate that the verdict is about can be accepted")
    if verdict.decision is Decision.JUDGE:
        require_accepted_by_judge(step)
    require_audited(step)
    confirmation = _confirmation(step)
    if by_code := await rejection_by_code(step, step.candidate):
        return {"rejection": rejection_of(*by_code)}
    reason = ""
    if services.domain.final_check and services.domain.quality_check:
        reason = "; ".join((await review(step, "accept", services.frozen))[1])
    if reason:
        closed = closed_round(step, FailureMode.FINAL_CHECK, reason)
        await record_rejected(
            services.store,
            step.document_id,
            closed,
            DocumentStatus.REJECTED,
            why=FailureMode.FINAL_CHECK.value,
            reason=reason,
            feedback=None,
        )
        step.emit(RejectedEvent(**step.place, reason=closed.reason))
        return {
            "rejection": None,
            "rounds": [plain(row) for row in [*step.rounds, closed]],
            "status": DocumentStatus.REJECTED.value,
            "status_reason": FailureMode.FINAL_CHECK.value,
        }
    closed = closed_round(step, None, "")
    example = _example(step, confirmation)
    text = await services.blobs.get(f"document/{step.document_id}")
    tied = await asyncio.to_thread(tied_to_numbers, step.candidate.question, text)
    # Another document may have come first while this one was checked.
    if services.novelty and (near := await services.novelty.claim(step.document_id, step.candidate.question)):
        return {"rejection": rejection_of(FailureMode.QUALITY, near)}
    await record_accepted(services.store, closed, example, tied=tied)
    step.emit(AcceptedEvent(**step.place, example=example))
    return {
        "rounds": [plain(row) for row in [*step.rounds, closed]],
        "rejection": None,
        "example": plain(example),
        "status": DocumentStatus.ACCEPTED.value,
        "status_reason": "",
    }


def require_accepted_by_judge(step: Step) -> None:
    """Raise BadState unless the loop judge accepted exactly the current candidate."""
    judgement = step.state.get("judgement") or {}
    if judgement.get("candidate_id") != step.candidate_id or judgement.get("verdict") != "accept":
        raise BadState("only the exact candidate that the loop judge accepted can be accepted")


def _confirmation(step: Step) -> Confirmation | None:
    """Return what fresh attempts scored; None in a run without any. Raises BadState where there must be some."""
    confirm, found = step.services.confirm, step.state.get("confirmation")
    if not confirm.attempts:
        return None
    confirmation = Confirmation.model_validate(found) if found else None
    if confirmation is None or confirmation.candidate_id != step.candidate_id or not confirmation.passed:
        raise BadState(
            "only the exact candidate that fresh attempts confirmed can be accepted: build with confirm=True"
        )
    return confirmation


def _example(step: Step, confirmation: Confirmation | None) -> Example:
    services, verdict = step.services, Verdict.model_validate(step.state["verdict"])
    candidate = step.candidate
    judgement = step.state.get("judgement")
    return Example(
        example_id=digest([step.thread_id, step.n, candidate.candidate_id]),
        document_id=step.document_id,
        document_name=step.state["document"]["name"],
        domain=services.domain.name,
        candidate_id=candidate.candidate_id,
        candidate=candidate.model_dump(mode="json"),
        passage=(step.state.get("passage") or {}).get("text", ""),
        rounds=step.n,
        weak_scores=tuple(step.scores(Stage.WEAK)),
        strong_scores=tuple(step.scores(Stage.STRONG)),
        weak_mean=verdict.weak_mean,
        strong_mean=verdict.strong_mean,
        gap=verdict.gap,
        preset=verdict.preset,
        checks=verdict.checks,
        prompt_version=services.pack.version,
        models={role: model.settings.shown for role, model in services.caller.roles.items()},
        grpo_suitability=judgement["grpo_suitability"] if judgement else None,
        judgement=judgement,
        confirmed=confirmation,
    )
