"""Audit: what has passed every gate is looked at once more before it is trusted, by calls that are paid for.

Canaries show a rubric, or a judge, that gives marks for nothing; a weak model that answers from the context alone
shows a context that leaks. Either refuses the candidate with its reason.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.errors import BadState
from autodata.checkpoints.records import FailureMode, Stage, Verdict
from autodata.checkpoints.writes import record_opened
from autodata.domains.acceptance.bounds import decimal
from autodata.models.call import CallSite
from autodata.nodes.canaries import tried
from autodata.nodes.code_checks import noted, rejection_of
from autodata.nodes.context import Context
from autodata.nodes.events import AuditEvent, rejection_event
from autodata.nodes.judges import judged
from autodata.nodes.solver_modes import mode_of, question_for
from autodata.nodes.state import State
from autodata.nodes.step import Step

NODE = "audit"
_CLOSED = (
    "Answer only by what the context says, in its words or your own. Add nothing that you know or work out. If the"
    " context does not say it, write: NOT IN THE CONTEXT"
)


class _Audited(Step):
    """A step whose calls stand in the node of the audit."""

    def site(self, node: str, role: str | None = None, index: str = "0", n: int | None = None) -> CallSite:
        """Where a call of the audit stands."""
        return super().site(NODE, role or node, index, n)


async def audit(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Try canaries and the closed context, as the services say; refuse what fails, with the first reason and numbers.

    Passes through where nothing is to be paid for.
    """
    step = _Audited(state, runtime)
    checks = step.services.checks
    if not checks.paid:
        return {"rejection": None}
    step.require_passed()
    if Verdict.model_validate(step.state["verdict"]).candidate_id != step.candidate_id:
        raise BadState("only the exact candidate that the verdict is about can be audited")
    found: dict[str, Any] = {"candidate_id": step.candidate_id}
    reasons: list[str] = []
    if checks.tries_canaries(step.candidate_id):
        scores = await tried(step)
        found["canaries"] = {name: str(score) for name, score in scores.items()}
        reasons += [
            f"canary: {name} scores {decimal(score, 2)}, at most {checks.canary_score:g} allowed:"
            " the rubric or its judge gives marks for nothing"
            for name, score in scores.items()
            if score > checks.canary_bound
        ]
    if checks.closed_context and step.candidate.context:
        score = await _closed_context(step)
        found["closed_context"] = str(score)
        if score >= Fraction(str(checks.closed_context_score)):
            reasons.append(
                f"closed_context: the weak model answers from the context alone, scoring {decimal(score, 2)}"
            )
    found["passed"] = not reasons
    known = state.get("quality") or {"candidate_id": step.candidate_id, **await noted(step, step.candidate)}
    quality = {**known, NODE: found}
    await record_opened(step.services.store, step.opening(), quality=quality)
    rejection = rejection_of(FailureMode.QUALITY, "; ".join(reasons)) if reasons else None
    step.emit(AuditEvent(**step.place, audit=found, rejection=rejection_event(rejection)))
    return {"quality": quality, "rejection": rejection}


def require_audited(step: Step) -> None:
    """Raise BadState where the current candidate must have passed the audit, and did not."""
    if not step.services.checks.paid:
        return
    found = (step.state.get("quality") or {}).get(NODE) or {}
    if found.get("candidate_id") != step.candidate_id or not found.get("passed"):
        raise BadState("only the exact candidate that passed the audit can be accepted: build with audit=True")


async def _closed_context(step: Step) -> Fraction:
    """Return what the weak model scores that may use the context alone. Nothing but reasoning scores 0."""
    messages = await question_for(step, Stage.WEAK, mode_of(step, Stage.WEAK))
    messages[-1]["content"] += f"\n\n{_CLOSED}"
    reply = await step.services.caller.text(step.site("weak_solver", index="closed_context"), messages)
    if not reply.answer:
        return Fraction(0)
    return (await judged(step, reply.answer, "closed_context")).score
