"""Loop judge: accepts a round by the pattern of its attempts, or sends it back (paper, section 4).

Layer 1 is code: a question that breaks a fixed rule of its task type goes back whatever anybody says. Layer 2 asks a
judge, who is given every number and states none that is used: its verdict decides. In a baseline nothing is sent back:
the judge is asked all the same, for what it thinks of the question's worth.
"""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.errors import BadState
from autodata.checkpoints.records import Decision, FailureMode, Verdict
from autodata.checkpoints.writes import record_judgement
from autodata.domains.tasks.base import broken_rules, judge_criteria
from autodata.models.structured import schema_text
from autodata.nodes.code_checks import reason_of
from autodata.nodes.context import Context
from autodata.nodes.events import JudgementEvent, rejection_event
from autodata.nodes.loop_judge_packet import Pattern, packet, shown
from autodata.nodes.state import State
from autodata.nodes.step import Step


async def loop_judge(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Judge the round; what sends it back becomes its rejection, the judge's suggestion word for word.

    A round that the policy has accepted already is judged for the figures only.
    """
    step = Step(state, runtime)
    step.require_passed()
    verdict = Verdict.model_validate(state["verdict"])
    if verdict.candidate_id != step.candidate_id or verdict.decision not in {Decision.JUDGE, Decision.ACCEPT}:
        raise BadState("only a round whose attempts at the current candidate were all made can be judged")
    decides = verdict.decision is Decision.JUDGE
    pattern = _pattern(step)
    found = packet(pattern)
    if decides and (broken := found["post_filter_flags"]):
        reason = reason_of(broken)
        judgement: dict[str, Any] = {"layer": 1, "verdict": "improve", "verdict_reason": reason}
        rejection = {"failure_mode": FailureMode.POST_FILTER.value, "reason": reason}
    else:
        judgement = {"layer": 2, **await _asked(step, shown(found, pattern.question))}
        sent_back = {"failure_mode": FailureMode.SENT_BACK.value, "reason": judgement["suggestion_for_writer"]}
        rejection = sent_back if decides and judgement["verdict"] == "improve" else {}
    judgement["candidate_id"] = step.candidate_id
    await record_judgement(step.services.store, step.round_id, judgement, found)
    step.emit(JudgementEvent(**step.place, judgement=judgement, rejection=rejection_event(rejection)))
    return {"judgement": judgement, "rejection": rejection or None}


def _pattern(step: Step) -> Pattern:
    candidate = step.candidate
    task_type = step.services.domain.scorer
    criteria = judge_criteria(task_type, candidate)
    flags = broken_rules(task_type, candidate)
    return Pattern(candidate.question, criteria, step.attempts, step.rounds, flags)


async def judged(step: Step) -> dict[str, Any]:
    """Ask the judge about the round as it stands, whatever rules it breaks; there must be marked attempts of both."""
    pattern = _pattern(step)
    return await _asked(step, shown(packet(pattern), pattern.question))


async def _asked(step: Step, shown_packet: str) -> dict[str, Any]:
    services, schema = step.services, step.services.domain.judgement
    messages = services.pack["loop_judge"].render({"packet": shown_packet, "schema": schema_text(schema)})
    said, _ = await services.caller.parsed(step.site("loop_judge"), messages, schema)
    return said.model_dump(mode="json")
