"""A round as it ends, rejected or accepted."""

from __future__ import annotations

from autodata.checkpoints.asked import question_key
from autodata.checkpoints.records import FailureMode, Round, RubricFigures, Verdict
from autodata.checkpoints.texts import preview
from autodata.domains.acceptance.rubric_score import rubric_figures
from autodata.nodes.step import Step


def closed_round(step: Step, mode: FailureMode | None, reason: str, reviewer: str = "") -> Round:
    """Return the current round as it ends: rejected in `mode`, or accepted where it is None."""
    verdict = step.state.get("verdict")
    ruled = Verdict.model_validate(verdict) if verdict else None
    question = (step.state.get("candidate") or {}).get("question", "")
    return Round(
        n=step.n,
        round_id=step.round_id,
        candidate_id=step.candidate_id,
        question=preview(question),
        question_key=question_key(question) if question else "",
        failure_mode=mode,
        reason=preview(reason),
        weak_mean=ruled.weak_mean if ruled else None,
        strong_mean=ruled.strong_mean if ruled else None,
        gap=ruled.gap if ruled else None,
        rubric=_figures_of_rubric(step) if step.services.domain.loop_judge else None,
        reviewer=preview(reviewer),
    )


def _figures_of_rubric(step: Step) -> RubricFigures | None:
    if not step.state.get("candidate"):
        return None
    return rubric_figures([weight for _, weight in step.services.domain.scorer.criteria(step.candidate)])
