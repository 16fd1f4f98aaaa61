"""How a round is recorded when it ends, rejected or accepted."""

from __future__ import annotations

from typing import Any

from autodata.checkpoints.records import DocumentStatus, FailureMode, Round, RubricFigures, Verdict, preview
from autodata.domains.acceptance.rubric_score import rubric_figures
from autodata.domains.tasks.questions import question_key
from autodata.nodes.step import Desk
from autodata.nodes.verifier import as_float


def closed_round(desk: Desk, mode: FailureMode | None, reason: str, reviewer: str = "") -> Round:
    """Return the current round as it ends: rejected in `mode`, or accepted where it is None."""
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


def round_row(desk: Desk, closed: Round) -> dict[str, Any]:
    """Return what the ledger keeps of the end of a round."""
    return {
        "round_id": desk.round_id,
        "outcome": "rejected" if closed.failure_mode else "accepted",
        "failure_mode": closed.failure_mode.value if closed.failure_mode else None,
        "reason": closed.reason,
        "weak_mean": as_float(closed.weak_mean),
        "strong_mean": as_float(closed.strong_mean),
        "gap": as_float(closed.gap),
    }


def document_row(desk: Desk, status: DocumentStatus, reason: str) -> dict[str, Any]:
    """Return what the ledger keeps of where a document stands after a round."""
    return {
        "document_id": desk.document_id,
        "status": status.value,
        "status_reason": reason,
        "rounds": desk.n,
    }
