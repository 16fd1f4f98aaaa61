"""Challenger: writes a candidate, or several side by side, from the source and the failures so far."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langgraph.runtime import Runtime
from pydantic import BaseModel

from autodata.checkpoints.asked import question_key
from autodata.checkpoints.errors import UnusableReply
from autodata.checkpoints.records import Candidate, DocumentStatus, FailureMode
from autodata.checkpoints.writes import record_opened, record_skipped
from autodata.domains.tasks.passages import pick
from autodata.models.seeds import seed_for
from autodata.models.structured import schema_text
from autodata.nodes.code_checks import noted, rejection_by_code
from autodata.nodes.context import Context
from autodata.nodes.events import CandidateEvent, DraftsEvent, rejection_event
from autodata.nodes.extractor import shown_extract
from autodata.nodes.grounding import shown_grounding
from autodata.nodes.state import State
from autodata.nodes.step import Step, all_of
from autodata.prompts import Prompt, fence

NO_ANCHOR = "no sentence with a name, a number or a date"
_KEPT = (
    *("n", "passage", "queue", "candidate", "candidate_id"),
    *("quality", "attempts", "verdict", "judgement", "rejection"),
)
"""What a challenger writes of the state."""


async def challenger(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Open the next round with a new candidate, or write the drafts among which the screen picks one.

    A question tried before, or one that code already finds wrong, is rejected here: no solver is paid for it. A reply
    that is JSON but breaks the rubric's rules after all repairs is a rejected round; an unreadable one is an error.
    A candidate that waits in the queue is taken first: nobody is asked for a new one.
    """
    step = Step(state, runtime)
    services, n = step.services, state.get("n", 0) + 1
    fresh: State = {**state, "n": n, "candidate": None, "candidate_id": ""}
    fresh |= {"quality": None, "attempts": [], "verdict": None, "judgement": None, "rejection": None}
    fresh |= {"confirmation": None}
    step = Step(fresh, runtime)
    if waiting := state.get("queue"):
        fresh["queue"] = waiting[1:]
        return await _opened(step, services.domain.scorer.candidate(waiting[0]), None, "")
    fresh["passage"] = None
    if words := services.domain.passage_words:
        text = await services.blobs.get(f"document/{step.document_id}")
        passage = pick(text, n, seed_for(services.run_seed, "passage", step.document_id), words)
        if passage is None:
            await record_skipped(services.store, step.document_id, NO_ANCHOR, len(step.rounds))
            return {"status": DocumentStatus.SKIPPED.value, "status_reason": NO_ANCHOR}
        fresh["passage"] = {"text": passage.text, "anchor": passage.anchor}
    several = services.domain.challengers
    drafts = all_of(await asyncio.gather(*(_written(step, k) for k in range(several)), return_exceptions=True))
    if several == 1:
        return await _opened(step, drafts[0].candidate, drafts[0].mode, drafts[0].reason)
    return await _drafted(step, drafts)


def asked(
    prompt: Prompt,
    schema: type[BaseModel],
    *,
    source: str,
    title: str,
    anchor: str = "",
    extract: str = "",
    grounding: str = "",
    index: int = 0,
    failures: str = "",
) -> list[dict[str, str]]:
    """Return the chat messages that ask for a candidate; `index` is the challenger's number among several."""
    angles = prompt.front.angles
    return prompt.render(
        {
            "source": fence("document", source),
            "title": fence("title", title),
            "anchor": fence("sentence", anchor),
            "extract": extract,
            "grounding": grounding,
            "angle": angles[index % len(angles)] if angles else "",
            "failures": failures,
            "schema": schema_text(schema),
        }
    )


@dataclass(frozen=True)
class _Draft:
    """What one challenger wrote, and why code rejects it, if it does."""

    candidate: Candidate | None
    mode: FailureMode | None = None
    reason: str = ""


async def _written(step: Step, index: int) -> _Draft:
    """Ask one challenger. Raises the errors of a call, and UnusableReply for what could not be read at all."""
    services, state = step.services, step.state
    schema = services.domain.scorer.draft
    messages = asked(
        services.pack["challenger"],
        schema,
        source=await step.source(),
        title=state["document"]["title"],
        anchor=(state.get("passage") or {}).get("anchor", ""),
        extract=shown_extract(services.domain, state.get("extract")),
        grounding=await shown_grounding(step),
        index=index,
        failures=step.context.shown_lessons.before(state.get("feedback", "")),
    )
    try:
        site = step.site("challenger", index=str(index))
        written, _ = await services.caller.parsed(site, messages, schema, shape_is_verdict=True)
    except UnusableReply as error:
        if not error.shape:
            raise
        return _Draft(None, FailureMode.MALFORMED, str(error).removeprefix("challenger: "))
    candidate = services.domain.scorer.candidate(written.model_dump())
    if _key(candidate) in {row.question_key for row in step.rounds}:
        return _Draft(candidate, FailureMode.DUPLICATE, "this question was tried before")
    return _Draft(candidate, *(await rejection_by_code(step, candidate) or (None, "")))


async def _drafted(step: Step, drafts: Sequence[_Draft]) -> dict[str, Any]:
    """Hand the drafts that code finds nothing wrong with to the screen, each question once; without any, reject."""
    sound = {_key(draft.candidate): draft.candidate for draft in reversed(drafts) if draft.candidate and not draft.mode}
    dropped = [draft for draft in drafts if draft.mode]
    step.emit(DraftsEvent(**step.place, drafts=len(drafts), dropped=[draft.reason for draft in dropped]))
    if not sound:
        order = (FailureMode.POST_FILTER, FailureMode.QUALITY, FailureMode.DUPLICATE, FailureMode.MALFORMED)
        worst = min(dropped, key=lambda draft: order.index(draft.mode or FailureMode.MALFORMED))
        return await _opened(step, worst.candidate, worst.mode, worst.reason)
    step.state["queue"] = [candidate.model_dump(mode="json") for candidate in reversed(sound.values())]
    return {name: step.state.get(name) for name in _KEPT if name in step.state}


def _key(candidate: Candidate) -> str:
    return question_key(candidate.question)


async def _opened(step: Step, candidate: Candidate | None, mode: FailureMode | None, reason: str) -> dict[str, Any]:
    """Store the open round and return the update that starts it."""
    state = step.state
    state["candidate_id"] = candidate.candidate_id if candidate else ""
    state["candidate"] = candidate.model_dump(mode="json") if candidate else None
    state["rejection"] = {"failure_mode": mode.value, "reason": reason} if mode else None
    quality = None
    if candidate and not step.services.domain.quality_check and (found := await noted(step, candidate)):
        quality = {"candidate_id": candidate.candidate_id, **found}
    await record_opened(step.services.store, step.opening(), quality=quality)
    rejection = rejection_event(state["rejection"])
    step.emit(CandidateEvent(**step.place, candidate=state["candidate"], rejection=rejection))
    return {name: state.get(name) for name in _KEPT if name in state}
