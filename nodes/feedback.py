"""Feedback: how a rejected round ends. Records it and gives the next challenger all failures so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.records import DocumentStatus, FailureMode, Round
from autodata.checkpoints.writes import record_rejected
from autodata.domains.acceptance.bounds import decimal
from autodata.nodes.context import Context
from autodata.nodes.events import FeedbackEvent
from autodata.nodes.rounds import closed_round
from autodata.nodes.state import State, plain
from autodata.nodes.step import Step
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
    ("NOT CONFIRMED (fresh attempts did not bear the scores out)", frozenset({FailureMode.NOT_CONFIRMED})),
    ("FAILED QUALITY CHECK", frozenset({FailureMode.QUALITY})),
    ("SENT BACK BY THE JUDGE", frozenset({FailureMode.SENT_BACK})),
    (BY_REVIEWER, frozenset({FailureMode.REVIEWER})),
    ("REFUSED BY A FIXED RULE", frozenset({FailureMode.POST_FILTER})),
    ("ALREADY TRIED", frozenset({FailureMode.DUPLICATE})),
    ("MALFORMED", frozenset({FailureMode.MALFORMED})),
)
"""Failure modes as the challenger sees them (paper, section 1): only groups with entries are shown."""

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
        cause = row.reason.split(":")[0] if row.failure_mode is FailureMode.QUALITY else ""
        return text + (f" ({cause})" if cause else "")
    if row.reason:  # it may quote a model: data, not an instruction (rule 7)
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
    """Close a rejected round: record it, and give the next challenger all failures, or end after the last round."""
    step = Step(state, runtime)
    services = step.services
    rejection = state.get("rejection") or {}
    mode = FailureMode(rejection["failure_mode"])
    closed = closed_round(step, mode, rejection["reason"], rejection.get("reviewer", ""))
    rounds = [*step.rounds, closed]
    over = step.n >= services.max_rounds + step.context.rounds_before
    suggestion = rejection["reason"] if rejection["failure_mode"] == FailureMode.SENT_BACK else ""
    by_reviewer = rejection["reason"] if rejection["failure_mode"] == FailureMode.REVIEWER else ""
    failures = grouped(
        rounds,
        show_rejected=services.domain.show_rejected,
        suggestion=suggestion,
        reviewer=rejection.get("reviewer", "") or by_reviewer,
    )
    text = services.pack["feedback"].render({"failures": failures})[-1]["content"]
    update: dict[str, Any] = {"rounds": [plain(row) for row in rounds], "feedback": text}
    status = DocumentStatus.REJECTED if over else DocumentStatus.PENDING
    reason = "max_rounds" if over else ""
    whole = rejection["reason"]
    await record_rejected(services.store, step.document_id, closed, status, why=reason, reason=whole, feedback=text)
    step.emit(FeedbackEvent(**step.place, failure_mode=mode, reason=rejection["reason"], last=over))
    return {**update, "status": status.value, "status_reason": reason} if over else update
