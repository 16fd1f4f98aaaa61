"""How a judge is asked about one answer."""

from __future__ import annotations

from dataclasses import replace

from autodata.checkpoints.records import Candidate
from autodata.domains.tasks.base import Scored, marks_of
from autodata.models.structured import schema_text
from autodata.nodes.context import FENCED_BY_PLACE
from autodata.nodes.step import Step
from autodata.prompts import fence


async def marked_by_judge(
    step: Step, answer: str, index: str, *, role: str = "verifier", candidate: Candidate | None = None
) -> Scored:
    """Ask a judge about one answer to the current candidate; `index` says which call of the round it is.

    `role` is the verifier's, or a further judge's, who is asked in the same words. `candidate` is the current one in
    another order of its criteria, where it is to be shown so.
    """
    task_type, shown = step.services.domain.scorer, candidate or step.candidate
    prompt = step.services.pack["verifier"]
    schema = marks_of(task_type, shown, verdict_alone=prompt.front.verdict_alone)
    site = replace(step.site("verifier", index=index), role=role)
    place = [step.candidate_id, site.thread_id, site.n, site.node, site.role, site.index]
    messages = prompt.render(
        {
            "context": fence("context", shown.context),
            "question": fence("question", shown.question),
            "answer": fence("answer", answer, *(place if step.services.fences == FENCED_BY_PLACE else ())),
            "schema": schema_text(schema),
            **task_type.judged_by(shown),
        }
    )
    found, _ = await step.services.caller.parsed(site, messages, schema)
    return task_type.scored(shown, found)
