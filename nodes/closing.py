"""Feedback and accept: the two ways a round ends. Both record it; neither calls a solver."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.errors import BadState
from autodata.checkpoints.ids import canonical_json, digest
from autodata.checkpoints.numbers import tied_to_numbers
from autodata.checkpoints.records import (
    Decision,
    DocumentStatus,
    Example,
    FailureMode,
    Round,
    RubricFigures,
    Stage,
    Verdict,
)
from autodata.checkpoints.texts import preview
from autodata.domains.acceptance.bounds import decimal
from autodata.domains.acceptance.rubric_score import rubric_figures
from autodata.domains.tasks.questions import question_key
from autodata.nodes.code_checks import rejection_by_code, rejection_of
from autodata.nodes.quality_verifier import review
from autodata.nodes.state import Context, Desk, State, plain
from autodata.nodes.verifier import as_float
from autodata.prompts import fence

BY_REVIEWER = "WHAT A REVIEWER SAID"
GROUPS: Sequence[tuple[str, frozenset[FailureMode]]] = (
    ("TOO EASY (the weak solver did too well)", frozenset({FailureMode.TOO_EASY})),
    ("NO SIGNAL FROM THE WEAK SOLVER (an attempt scored nothing)", frozenset({FailureMode.DEGENERATE_WEAK})),
    (
        "FAILED ON STRONG (the strong solver did not do well enough, or not enough better)",
        frozenset({FailureMode.FAILED_ON_STRONG, FailureMode.GAP_TOO_SMALL}),
    ),
    ("SATURATED (the strong solver found nothing hard in it)", frozenset({FailureMode.SATURATED_STRONG})),
    ("FAILED QUALITY CHECK", frozenset({FailureMode.QUALITY})),
    ("SENT BACK BY THE JUDGE", frozenset({FailureMode.SENT_BACK})),
    (BY_REVIEWER, frozenset({FailureMode.REVIEWER})),
    ("REFUSED BY A FIXED RULE", frozenset({FailureMode.POST_FILTER})),
    ("ALREADY TRIED", frozenset({FailureMode.DUPLICATE})),
    ("MALFORMED", frozenset({FailureMode.MALFORMED})),
)
"""Failure modes as the challenger is told of them (paper, section 1): only groups with entries are shown."""

SHOWN_PER_GROUP = 5


def grouped(rounds: Sequence[Round], *, show_rejected: bool, suggestion: str = "", reviewer: str = "") -> str:
    """Return the failures so far by mode, the latest of each first; empty without any.

    `suggestion` is what the loop judge says to the last round, `reviewer` what a person says: both are shown word for
    word, for the round's own texts may be cut. What a person said of a round that code rejected stands beside it.
    """
    blocks: list[str] = []
    for title, modes in GROUPS:
        of_person = title == BY_REVIEWER
        entries = [row for row in reversed(rounds) if row.failure_mode in modes or (of_person and row.reviewer)]
        if not entries:
            continue
        lines = [f"## {title}: {len(entries)}"]
        for row in entries[:SHOWN_PER_GROUP]:
            last = row is rounds[-1]
            lines.append(
                _said(row, show_rejected, reviewer if last else "")
                if of_person
                else _entry(row, show_rejected, suggestion if last else "")
            )
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _entry(row: Round, show_rejected: bool, suggestion: str) -> str:
    text = _headed(row)
    if suggestion:
        return f"{text}\n{fence('suggestion', suggestion)}" + _question(row, show_rejected)
    if not (show_rejected or row.failure_mode is FailureMode.SENT_BACK):
        told = row.reason.split(":")[0] if row.failure_mode is FailureMode.QUALITY else ""
        return text + (f" ({told})" if told else "")
    if row.reason:  # it may quote a model: data, not an instruction (law 7)
        text += f"\n{fence('reason', row.reason)}"
    return text + _question(row, show_rejected)


def _said(row: Round, show_rejected: bool, whole: str) -> str:
    """Return what a person said of a round: never left out, and fenced, for a rejected question may stand in it."""
    words = whole or row.reviewer or row.reason
    return f"{_headed(row)}\n{fence('reviewer', words)}" + _question(row, show_rejected)


def _headed(row: Round) -> str:
    means = (("weak average", row.weak_mean), ("strong average", row.strong_mean), ("gap", row.gap))
    figures = ", ".join(f"{name} {decimal(value, 2)}" for name, value in means if value is not None)
    return f"- round {row.n}" + (f": {figures}" if figures else "")


def _question(row: Round, show_rejected: bool) -> str:
    return f"\n{fence('rejected-question', row.question)}" if show_rejected and row.question else ""


async def feedback(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Close a rejected round: record it, and tell the next challenger of all failures, or end after the last round."""
    desk = Desk(state, runtime)
    services = desk.services
    rejection = state.get("rejection") or {}
    closed = _closed(desk, FailureMode(rejection["failure_mode"]), rejection["reason"], rejection.get("reviewer", ""))
    rounds = [*desk.rounds, closed]
    over = desk.n >= services.max_rounds
    suggestion = rejection["reason"] if rejection["failure_mode"] == FailureMode.SENT_BACK else ""
    by_reviewer = rejection["reason"] if rejection["failure_mode"] == FailureMode.REVIEWER else ""
    failures = grouped(
        rounds,
        show_rejected=services.domain.show_rejected,
        suggestion=suggestion,
        reviewer=rejection.get("reviewer", "") or by_reviewer,
    )
    text = services.pack["feedback"].render({"failures": failures})[-1]["content"]
    rows: dict[str, list[dict[str, Any]]] = {
        "rounds": [{**_round_row(desk, closed), "reason": rejection["reason"], "feedback": text}]
    }
    update: dict[str, Any] = {"rounds": [plain(row) for row in rounds], "feedback": text}
    status = DocumentStatus.REJECTED if over else DocumentStatus.PENDING
    reason = "max_rounds" if over else ""
    rows["documents"] = [_document_row(desk, status, reason)]
    await services.store.save(**rows)
    desk.emit("feedback", failure_mode=rejection["failure_mode"], reason=rejection["reason"], last=over)
    return {**update, "status": status.value, "status_reason": reason} if over else update


async def accept(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Close an accepted round: the final check, then the example, whole.

    What code refuses is sent back, as it is before anybody is paid: the reason becomes the round's rejection. A quality
    verifier that refuses at the final check ends the document `rejected/final_check`, without feedback (paper,
    section 3).
    """
    desk = Desk(state, runtime)
    services = desk.services
    desk.require_passed()
    verdict = Verdict.model_validate(desk.state["verdict"])
    if verdict.candidate_id != desk.candidate_id:
        raise BadState("only the exact candidate that the verdict is about can be accepted")
    if verdict.decision is Decision.JUDGE:
        _require_accepted_by_judge(desk)
    if by_code := await rejection_by_code(desk, desk.candidate):
        return {"rejection": rejection_of(*by_code)}
    reason = ""
    if services.domain.final_check and services.domain.quality_check:
        reason = "; ".join((await review(desk, "accept", services.frozen))[1])
    if reason:
        closed = _closed(desk, FailureMode.FINAL_CHECK, reason)
        await services.store.save(
            rounds=[{**_round_row(desk, closed), "reason": reason}],
            documents=[_document_row(desk, DocumentStatus.REJECTED, FailureMode.FINAL_CHECK.value)],
        )
        desk.emit("rejected", reason=closed.reason)
        return {
            "rejection": None,
            "rounds": [plain(row) for row in [*desk.rounds, closed]],
            "status": DocumentStatus.REJECTED.value,
            "status_reason": FailureMode.FINAL_CHECK.value,
        }
    closed = _closed(desk, None, "")
    example = _example(desk)
    text = await services.blobs.get(f"document/{desk.document_id}")
    await services.store.save(
        rounds=[_round_row(desk, closed)],
        documents=[_document_row(desk, DocumentStatus.ACCEPTED, "")],
        examples=[
            {
                "example_id": example.example_id,
                "document_id": desk.document_id,
                "round_id": desk.round_id,
                "example": canonical_json(plain(example)),
                "weak_mean": as_float(example.weak_mean),
                "strong_mean": as_float(example.strong_mean),
                "gap": as_float(example.gap),
                "rounds": example.rounds,
                "question_key": closed.question_key,
                "tied": await asyncio.to_thread(tied_to_numbers, desk.candidate.question, text),
            }
        ],
    )
    desk.emit("accepted", example=plain(example))
    return {
        "rounds": [plain(row) for row in [*desk.rounds, closed]],
        "rejection": None,
        "example": plain(example),
        "status": DocumentStatus.ACCEPTED.value,
        "status_reason": "",
    }


def _require_accepted_by_judge(desk: Desk) -> None:
    """Raise ValueError unless the loop judge accepted exactly the current candidate."""
    judgement = desk.state.get("judgement") or {}
    if judgement.get("candidate_id") != desk.candidate_id or judgement.get("verdict") != "accept":
        raise BadState("only the exact candidate that the loop judge accepted can be accepted")


def _closed(desk: Desk, mode: FailureMode | None, reason: str, reviewer: str = "") -> Round:
    verdict = desk.state.get("verdict")
    ruled = Verdict.model_validate(verdict) if verdict else None
    question = (desk.state.get("candidate") or {}).get("question", "")
    return Round(
        n=desk.n,
        round_id=desk.round_id,
        candidate_id=desk.candidate_id,
        question=preview(question),
        question_key=question_key(question) if question else "",
        failure_mode=mode,
        reason=preview(reason),
        weak_mean=ruled.weak_mean if ruled else None,
        strong_mean=ruled.strong_mean if ruled else None,
        gap=ruled.gap if ruled else None,
        rubric=_figures_of_rubric(desk) if desk.services.domain.loop_judge else None,
        reviewer=preview(reviewer),
    )


def _figures_of_rubric(desk: Desk) -> RubricFigures | None:
    if not desk.state.get("candidate"):
        return None
    return rubric_figures([weight for _, weight in desk.services.domain.scorer.criteria(desk.candidate)])


def _round_row(desk: Desk, closed: Round) -> dict[str, Any]:
    return {
        "round_id": desk.round_id,
        "outcome": "rejected" if closed.failure_mode else "accepted",
        "failure_mode": closed.failure_mode.value if closed.failure_mode else None,
        "reason": closed.reason,
        "weak_mean": as_float(closed.weak_mean),
        "strong_mean": as_float(closed.strong_mean),
        "gap": as_float(closed.gap),
    }


def _document_row(desk: Desk, status: DocumentStatus, reason: str) -> dict[str, Any]:
    return {
        "document_id": desk.document_id,
        "status": status.value,
        "status_reason": reason,
        "rounds": desk.n,
    }


def _example(desk: Desk) -> Example:
    services, verdict = desk.services, Verdict.model_validate(desk.state["verdict"])
    candidate = desk.candidate
    judgement = desk.state.get("judgement")
    return Example(
        example_id=digest([desk.thread_id, desk.n, candidate.candidate_id]),
        document_id=desk.document_id,
        document_name=desk.state["document"]["name"],
        domain=services.domain.name,
        candidate_id=candidate.candidate_id,
        candidate=candidate.model_dump(mode="json"),
        passage=(desk.state.get("passage") or {}).get("text", ""),
        rounds=desk.n,
        weak_scores=tuple(desk.scores(Stage.WEAK)),
        strong_scores=tuple(desk.scores(Stage.STRONG)),
        weak_mean=verdict.weak_mean,
        strong_mean=verdict.strong_mean,
        gap=verdict.gap,
        preset=verdict.preset,
        checks=verdict.checks,
        prompt_version=services.pack.version,
        models={role: model.settings.model for role, model in services.caller.roles.items()},
        grpo_suitability=judgement["grpo_suitability"] if judgement else None,
        judgement=judgement,
    )
