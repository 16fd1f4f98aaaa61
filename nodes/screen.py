"""Screen: picks which candidates are worth solver money (paper, section 5)."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.records import Candidate, FailureMode
from autodata.checkpoints.writes import record_opened
from autodata.domains.tasks.base import screening_of
from autodata.domains.tasks.schemas import Screening
from autodata.models.structured import schema_text
from autodata.nodes.context import Context
from autodata.nodes.events import CandidateEvent, ScreenEvent, rejection_event
from autodata.nodes.state import State
from autodata.nodes.step import Step

SCREENED_OUT = "screened out"


async def screen(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Open the round with the first promising draft; the others that are promising wait in the queue.

    With none the round is rejected. A candidate that comes from the queue was screened with its own round's drafts, and
    goes on unasked.
    """
    step = Step(state, runtime)
    if state.get("candidate"):
        return {}
    drafts = state.get("queue") or []
    scorer = step.services.domain.scorer
    candidates = [scorer.candidate(draft) for draft in drafts]
    found = await _screened(step, candidates)
    findings = sorted(found.candidates, key=lambda item: item.number)
    promising = [drafts[item.number - 1] for item in findings if item.promising]
    rejection = None
    if not promising:
        reasons = "; ".join(f"{item.number}: {item.reason}" for item in findings)
        rejection = {"failure_mode": FailureMode.QUALITY.value, "reason": f"{SCREENED_OUT}: {reasons}"}
    opened: State = {**state, "candidate": promising[0] if promising else drafts[0], "queue": promising[1:]}
    step = Step(opened, runtime)
    screened = [
        {"question": candidate.question, "reference_answer": candidate.reference_answer}
        | {"promising": item.promising, "reason": item.reason}
        for candidate, item in zip(candidates, findings, strict=True)
    ]
    await record_opened(step.services.store, step.opening(), screen=screened)
    event = rejection_event(rejection)
    step.emit(ScreenEvent(**step.place, picked=len(promising), of=len(drafts), rejection=event))
    step.emit(CandidateEvent(**step.place, candidate=opened["candidate"], rejection=event))
    return {
        "candidate": opened["candidate"],
        "candidate_id": step.candidate_id,
        "queue": opened["queue"],
        "rejection": rejection,
    }


async def _screened(step: Step, candidates: list[Candidate]) -> Screening:
    services = step.services
    schema = screening_of(services.domain.scorer, len(candidates))
    shown = (f"Candidate {k}:\n{services.domain.scorer.shown(item)}" for k, item in enumerate(candidates, 1))
    messages = services.pack["screen"].render({"candidates": "\n\n".join(shown), "schema": schema_text(schema)})
    found, _ = await services.caller.parsed(step.site("screen"), messages, schema)
    return found
