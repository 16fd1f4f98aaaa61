"""Challenger: writes one candidate from the source and the failures so far."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.records import Candidate, DocumentStatus, FailureMode, digest
from autodata.models.calls import seed_for
from autodata.models.errors import UnusableReply
from autodata.models.structured import schema_text
from autodata.nodes.passages import pick
from autodata.nodes.questions import normalised
from autodata.nodes.state import Context, Desk, State
from autodata.prompts import fence

NO_ANCHOR = "no sentence with a name, a number or a date"


async def challenger(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Open the next round with a new candidate.

    A question tried before, or one that code already finds wrong, is rejected here: no solver is paid for it. A reply
    that is JSON but breaks the rubric's rules after all repairs is a rejected round; an unreadable one is an error.
    """
    desk = Desk(state, runtime)
    services, n = desk.services, state.get("n", 0) + 1
    fresh: State = {**state, "n": n, "passage": None, "candidate": None, "candidate_id": ""}
    fresh |= {"quality": None, "attempts": [], "verdict": None, "rejection": None}
    desk = Desk(fresh, runtime)
    anchor = ""
    if words := services.domain.passage_words:
        text = await services.blobs.get(f"document/{desk.document_id}")
        passage = pick(text, n, seed_for(services.run_seed, "passage", desk.document_id), words)
        if passage is None:
            await services.store.save(documents=[_status(desk, DocumentStatus.SKIPPED, NO_ANCHOR)])
            return {"status": DocumentStatus.SKIPPED.value, "status_reason": NO_ANCHOR}
        fresh["passage"] = {"text": passage.text, "anchor": passage.anchor}
        anchor = passage.anchor
    draft = services.domain.scorer.draft
    messages = services.pack["challenger"].render(
        {
            "source": fence("document", await desk.source()),
            "title": fence("title", fresh["document"]["title"]),
            "anchor": fence("sentence", anchor),
            "failures": state.get("feedback", ""),
            "schema": schema_text(draft),
        }
    )
    try:
        written, _ = await services.caller.parsed(desk.site("challenger"), messages, draft, shape_is_verdict=True)
    except UnusableReply as error:
        if not error.shape:
            raise
        return await _opened(desk, None, FailureMode.MALFORMED, str(error).removeprefix("challenger: "))
    candidate = services.domain.scorer.candidate(written.model_dump())
    if digest(normalised(candidate.question)) in {row.question_key for row in desk.rounds}:
        return await _opened(desk, candidate, FailureMode.DUPLICATE, "this question was tried before")
    if found := services.domain.scorer.problems(candidate):
        return await _opened(desk, candidate, FailureMode.QUALITY, "; ".join(found))
    return await _opened(desk, candidate, None, "")


async def _opened(desk: Desk, candidate: Candidate | None, mode: FailureMode | None, reason: str) -> dict[str, Any]:
    """Store the open round and return the update that starts it."""
    state = desk.state
    state["candidate_id"] = candidate.candidate_id if candidate else ""
    state["candidate"] = candidate.model_dump(mode="json") if candidate else None
    state["rejection"] = {"failure_mode": mode.value, "reason": reason} if mode else None
    await desk.services.store.save(**desk.opening())
    desk.emit("candidate", candidate=state["candidate"], rejection=state["rejection"])
    kept = ("n", "passage", "candidate", "candidate_id", "quality", "attempts", "verdict", "rejection")
    return {name: state.get(name) for name in kept}


def _status(desk: Desk, status: DocumentStatus, reason: str) -> dict[str, Any]:
    return {
        "document_id": desk.document_id,
        "status": status.value,
        "status_reason": reason,
        "rounds": len(desk.rounds),
    }
