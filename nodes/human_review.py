"""Human review: the graph stops with a typed question about a candidate that was measured, and goes on with the answer.

Code decides all the same (rule 1). A person may reject what passed every gate, with a reason; may change the candidate,
which is then verified anew from the quality check on; and may not accept what the gates rejected: there, approving is
a label that others can count, and a reason is feedback beside the gates'.

An answer counts for one question. The node runs twice for each: the first run puts the question into state, so that
it stays open whatever the context of a later run says; the second asks. LangGraph gives a resume value to whichever
question is next, so an answer that names another question, that was sent before this one was asked, or that repeats
the answer before is not taken: the question is asked again, with what was wrong.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Self

from langgraph.config import get_config
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from autodata.checkpoints.ids import digest
from autodata.checkpoints.records import Candidate, Check, FailureMode, Stage, Verdict
from autodata.checkpoints.writes import record_answer, record_opened, record_question
from autodata.domains.acceptance.borderline import borderline
from autodata.domains.domain import Domain
from autodata.models.validation import problems
from autodata.nodes.code_checks import code_problems, rejection_by_code
from autodata.nodes.context import Context
from autodata.nodes.events import CandidateEvent, ReviewedEvent, ReviewEvent
from autodata.nodes.state import State, plain
from autodata.nodes.step import Step
from autodata.prompts import PromptPack

SENT_AT = "__request_start_time_ms__"
"""Where a LangGraph server keeps when the request for a run came, in milliseconds since 1970."""
BY_ID = "__pregel_resume_map"
"""Where LangGraph keeps answers that name their interrupt by its id."""
UNBOUND = "refused"
"""The only key of an answer that stands for one that could not be given to a question, with the reason."""

NOT_AN_OBJECT = 'an answer is a JSON object such as {"decision": "approve"}'
OF_ANOTHER = "that answer names another question: this one is new"
TOO_EARLY = "that answer was sent before this question was asked, so it is not about this candidate: answer this one"
REPEATED = (
    "that is the answer to the question before, once more: if it is meant for this candidate too, send it again, or"
    " send it with this question's label_id"
)


class ReviewAnswer(BaseModel):
    """What a person answers to the question about a candidate."""

    model_config = ConfigDict(defer_build=True, extra="forbid", title="ReviewAnswer")

    decision: Literal["approve", "edit", "reject"] = Field(
        description="approve: as it is. edit: with `candidate` laid over it, verified anew. reject: not, for `reason`."
    )
    reason: str = Field(
        default="",
        max_length=2000,
        description="Why. Needed to reject; the next challenger sees it word for word.",
    )
    candidate: dict[str, Any] | None = Field(
        default=None, description="Needed to edit: the candidate's fields that change, whole; those left out stay."
    )
    reviewer: str = Field(default="", max_length=200, description="Who answers, in any words.")
    at: str = Field(default="", max_length=40, description="When, in ISO 8601; now if it is left out.")
    label_id: str = Field(
        default="",
        max_length=1000,
        description=(
            "The `label_id` of the question that is answered. Left out: the one that was open when the answer was sent."
        ),
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.decision == "reject" and not self.reason.strip():
            raise ValueError("a rejection needs a reason")
        if self.decision == "edit" and not self.candidate:
            raise ValueError("an edit needs the candidate's changed fields")
        if self.decision != "edit" and self.candidate is not None:
            raise ValueError("candidate goes with the decision edit")
        return self


def edited(domain: Domain, pack: PromptPack, current: Candidate, changes: Mapping[str, Any]) -> Candidate:
    """Return a candidate with some of its fields changed.

    Raises ValueError, in one line, when it is no candidate of the domain, code finds it wrong, or nothing changed.
    """
    known = current.model_dump(mode="json")
    if unknown := changes.keys() - known.keys():
        raise ValueError(f"unknown field {', '.join(sorted(unknown))}: a candidate has {', '.join(known)}")
    try:
        candidate = domain.scorer.candidate({**known, **changes})
    except ValidationError as error:
        raise ValueError(problems(error, type(current), repeat=False)) from error
    if candidate.candidate_id == current.candidate_id:
        raise ValueError("nothing is changed: approve it, or change something")
    if found := code_problems(domain, pack, candidate):
        raise ValueError("; ".join(found))
    return candidate


def answer_schema(domain: Domain, pack: PromptPack, current: Candidate) -> type[ReviewAnswer]:
    """Return what an answer about this candidate must look like; an edit is checked as a challenger's work is."""

    class Answer(ReviewAnswer):
        model_config = ConfigDict(defer_build=True, title="ReviewAnswer")

        @model_validator(mode="after")
        def _sound(self) -> Self:
            if self.candidate is not None:
                edited(domain, pack, current, self.candidate)
            return self

    Answer.__doc__ = ReviewAnswer.__doc__
    return Answer


async def human_review(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Ask a person about the candidate, if this one is to be asked about, and follow the answer.

    The question is in state and ledger before the graph stops; an open one is asked whatever `Services.review` says by
    then. A candidate that was edited in state since its verdict is not asked about, but verified anew.
    """
    step = Step(state, runtime)
    services = step.services
    verdict = Verdict.model_validate(state["verdict"])
    if verdict.candidate_id != step.candidate_id:
        return {"asked": None} | await _anew(state, runtime, step.candidate, "edited in state")
    near = borderline(
        services.policy,
        step.scores(Stage.WEAK),
        step.scores(Stage.STRONG),
        services.domain.planned,
        services.review.margin,
    )
    question = _question(step, verdict, near)
    asked = state.get("asked") or {}
    if asked.get("label_id") != question["label_id"]:
        if not services.review.asks(accepted=not state.get("rejection"), near=near):
            # A person who watches the stream sees that it was passed.
            return {"reviews": state.get("reviews", 0), "asked": None}
        return {"asked": await _opened(step, question)}
    question["error"] = asked.get("error", "")
    schema = answer_schema(services.domain, services.pack, step.candidate)
    given: Any = interrupt(question, response_schema=schema.model_json_schema())
    answer = _read(schema, given, asked, state.get("answered") or "")
    refused = answer if isinstance(answer, str) else await _refused(step, answer)
    if isinstance(answer, str) or refused:
        return {"asked": await _opened(step, question, error=refused)}
    update: dict[str, Any] = {"reviews": state.get("reviews", 0) + 1, "asked": None, "answered": _said(answer)}
    candidate = await _recorded(step, question, answer)
    if candidate:
        return update | await _anew(state, runtime, candidate, answer.reason.strip())
    return update | {"rejection": _rejection(step, answer)}


async def _refused(step: Step, answer: ReviewAnswer) -> str:
    """Return why code refuses the candidate of an edit, as it would refuse a challenger's; empty when it does not."""
    if answer.candidate is None:
        return ""
    changed = edited(step.services.domain, step.services.pack, step.candidate, answer.candidate)
    by_code = await rejection_by_code(step, changed)
    return by_code[1] if by_code else ""


async def _opened(step: Step, question: Mapping[str, Any], error: str = "") -> dict[str, Any]:
    """Store the question as open; return what the state keeps of it."""
    await record_question(
        step.services.store,
        question["label_id"],
        step.opening(),
        verdict=question["verdict"],
        why=question["why"],
        again=bool(error),
    )
    step.emit(ReviewEvent(**step.place, question={**question, "error": error}))
    return {"label_id": question["label_id"], "at": int(time.time() * 1000), "error": error}


def _read(schema: type[ReviewAnswer], given: Any, asked: Mapping[str, Any], before: str) -> ReviewAnswer | str:
    """Return the answer, or why it is none to this question. `before` identifies the answer that counted last."""
    if not isinstance(given, Mapping):
        return NOT_AN_OBJECT
    if given.keys() == {UNBOUND}:
        return str(given[UNBOUND])[:300]
    try:
        answer = schema.model_validate(given)
    except ValidationError as error:
        return problems(error, ReviewAnswer, repeat=False)
    return _unbound(answer, asked, before) or answer


def _unbound(answer: ReviewAnswer, asked: Mapping[str, Any], before: str) -> str:
    """Return why an answer is not about the question that is open; empty when it is."""
    configurable = get_config().get("configurable", {})
    if answer.label_id:
        return "" if answer.label_id == asked["label_id"] else OF_ANOTHER
    sent = configurable.get(SENT_AT)
    if sent is not None and int(sent) < asked["at"]:
        return TOO_EARLY
    repeated = _said(answer) == before and not configurable.get(BY_ID)
    return REPEATED if repeated and asked.get("error") != REPEATED else ""


def _said(answer: ReviewAnswer) -> str:
    """Return what two answers share that say the same."""
    return digest([answer.decision, answer.reason.strip(), answer.candidate, answer.at])


def _question(step: Step, verdict: Verdict, near: tuple[Check, ...]) -> dict[str, Any]:
    """Return what a person is shown: whole, for who answers by API or in Studio has no ledger."""
    rejection = step.state.get("rejection")
    number = step.state.get("reviews", 0) + 1
    return {
        "label_id": f"{step.round_id}/review/{number}",
        "error": "",
        "document": step.state["document"]["name"],
        "round": step.n,
        "verdict": "reject" if rejection else "accept",
        "answers": _ANSWERS_TO_REJECTED if rejection else _ANSWERS_TO_PASSED,
        "why": "borderline: " + "; ".join(map(str, near)) if near else "",
        "rejection": rejection,
        "checks": [plain(check) for check in verdict.checks],
        "candidate": step.state["candidate"],
        "passage": (step.state.get("passage") or {}).get("text", ""),
        "attempts": [
            {
                "stage": attempt.stage.value,
                "score": str(attempt.mark.score) if attempt.mark else None,
                "preview": attempt.preview,
            }
            for attempt in step.attempts
        ],
    }


_ANSWERS_TO_PASSED: Mapping[str, str] = {
    "approve": "It is accepted, if the domain's final check agrees.",
    "edit": "The changed candidate is verified anew.",
    "reject": "The round is rejected for your reason, which the next challenger is shown.",
}
_ANSWERS_TO_REJECTED: Mapping[str, str] = {
    "approve": "Only a label: the gates rejected this candidate, and it stays rejected.",
    "edit": "The changed candidate is verified anew.",
    "reject": "The next challenger is shown your reason beside that of the gates.",
}
"""What each decision does, as the question says it."""


async def _recorded(step: Step, question: Mapping[str, Any], answer: ReviewAnswer) -> Candidate | None:
    """Store the answer as a label; return the edited candidate, if it is one."""
    services, reason, candidate = step.services, answer.reason.strip(), None
    if answer.candidate is not None:
        candidate = edited(services.domain, services.pack, step.candidate, answer.candidate)
    await record_answer(
        services.store,
        question["label_id"],
        decision=answer.decision,
        reason=reason,
        edited=candidate,
        reviewer=answer.reviewer,
        at=answer.at or datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    step.emit(ReviewedEvent(**step.place, decision=answer.decision, reason=reason, reviewer=answer.reviewer))
    return candidate


def _rejection(step: Step, answer: ReviewAnswer) -> dict[str, Any] | None:
    """Return what the round is rejected for, if it is: the gates' reason stays, a person's is added to it."""
    by_gates: dict[str, Any] | None = step.state.get("rejection")
    if answer.decision != "reject":
        return by_gates
    reason = answer.reason.strip()
    return (
        {**by_gates, "reviewer": reason} if by_gates else {"failure_mode": FailureMode.REVIEWER.value, "reason": reason}
    )


async def _anew(state: State, runtime: Runtime[Context], candidate: Candidate, reason: str) -> dict[str, Any]:
    """Close the round of the candidate that was replaced, and open it again with the new one, as yet unverified."""
    opened: dict[str, Any] = {"candidate": candidate.model_dump(mode="json"), "candidate_id": candidate.candidate_id}
    opened |= {"quality": None, "attempts": [], "verdict": None, "judgement": None, "rejection": None}
    opened |= {"confirmation": None}
    edited_state: Any = {**state, **opened}
    step = Step(edited_state, runtime)
    before = (state["verdict"] or {})["candidate_id"]
    replaced = f"{step.thread_id}/{step.n}/{before}"
    await record_opened(step.services.store, step.opening(), replaced=(replaced, reason))
    step.emit(CandidateEvent(**step.place, candidate=opened["candidate"], rejection=None))
    return opened
