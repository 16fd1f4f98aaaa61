"""Quality verifier: looks at the example itself before any solver is paid for."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.records import FailureMode
from autodata.checkpoints.writes import record_opened
from autodata.models.structured import schema_text
from autodata.nodes.code_checks import noted, rejection_by_code
from autodata.nodes.context import Context
from autodata.nodes.events import QualityEvent, rejection_event
from autodata.nodes.state import State
from autodata.nodes.step import Step
from autodata.prompts import PromptPack, fence


async def review(step: Step, node: str, pack: PromptPack | None = None) -> tuple[dict[str, Any], list[str]]:
    """Ask the quality verifier about the current candidate; return its findings and why it fails (empty: it passes).

    `pack` is where its prompt comes from, by default the one in use. Whether a candidate passes is code's decision over
    the findings and the limits of the prompt's front matter.
    """
    services, candidate = step.services, step.candidate
    task_type, prompt = services.domain.scorer, (pack or services.pack)["quality_verifier"]
    messages = prompt.render(
        {
            "source": fence("document", await step.source()),
            "title": fence("title", step.state["document"]["title"]),
            "candidate": task_type.shown(candidate),
            "schema": schema_text(task_type.review),
        }
    )
    found, _ = await services.caller.parsed(step.site(node, "quality_verifier"), messages, task_type.review)
    problems = task_type.findings(found, candidate, prompt.front.limits)
    return {"candidate_id": candidate.candidate_id, "passed": not problems, **found.model_dump(mode="json")}, problems


async def quality_verifier(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Check the candidate; on failure the round is rejected with every reason found.

    The candidate may be one that a person edited after the challenger: then its round is opened here, and code looks
    at it first. Nobody is asked about what code rejects.
    """
    step = Step(state, runtime)
    mode, reason = FailureMode.QUALITY, ""
    if by_code := await rejection_by_code(step, step.candidate):
        mode, reason = by_code
        quality: dict[str, Any] = {"candidate_id": step.candidate_id, "passed": False, "found_by_code": reason}
    else:
        quality, problems = await review(step, "quality_verifier")
        quality |= await noted(step, step.candidate)
        reason = "; ".join(problems)
    await record_opened(step.services.store, step.opening(), quality=quality)
    rejection = {"failure_mode": mode.value, "reason": reason} if reason else None
    step.emit(QualityEvent(**step.place, quality=quality, rejection=rejection_event(rejection)))
    return {"candidate_id": step.candidate_id, "quality": quality, "rejection": rejection}
