"""What the nodes of the loop record of a round: its candidate, attempts, marks, verdicts, and its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from autodata.checkpoints.ids import canonical_json
from autodata.checkpoints.protocols import Store
from autodata.checkpoints.records import (
    Attempt,
    Candidate,
    Confirmation,
    Decision,
    DocumentStatus,
    Example,
    FailureMode,
    Mark,
    Record,
    Round,
    Verdict,
)
from autodata.checkpoints.writes.documents import document_row


@dataclass(frozen=True)
class Marked:
    """A new mark, and why each criterion was found met or not met."""

    mark: Mark
    reasons: tuple[str, ...]
    """One entry per entry of the mark's `met`; fewer where nothing was said."""


@dataclass(frozen=True)
class Ruled:
    """A verdict with the number of attempts at its stage: how many were planned, how many were made."""

    verdict: Verdict
    planned: int
    made: int


@dataclass(frozen=True)
class OpenRound:
    """A round that begins: where it stands, and its candidate; None where the challenger's reply held none."""

    round_id: str
    document_id: str
    thread_id: str
    n: int
    prompt_version: str
    kind: str
    """The task type of the candidate."""
    candidate: Candidate | None
    passage: str = ""
    lessons: tuple[str, ...] = ()
    """The versions of lessons that its challenger is shown."""


async def record_opened(
    store: Store,
    opened: OpenRound,
    *,
    quality: Mapping[str, Any] | None = None,
    screen: Sequence[Mapping[str, Any]] | None = None,
    replaced: tuple[str, str] | None = None,
) -> None:
    """Record an open round and its candidate, and what is known of the candidate already.

    `quality` is what the quality verifier or code found, `screen` what the screen said of every draft: None leaves what
    is recorded. `replaced` is the round, by its id, whose candidate a person changed into this one, and their reason.
    """
    row = _open_row(opened)
    if quality is not None:
        row["quality"] = canonical_json(quality)
    if screen is not None:
        row["screen"] = screen
    rows = [row]
    if replaced:
        round_id, reason = replaced
        rows.append({"round_id": round_id, "outcome": "edited", "reason": reason})
    await store.save(candidates=_candidate_rows(opened), rounds=rows)


async def record_judgement(
    store: Store, round_id: str, judgement: Mapping[str, Any], packet: Mapping[str, Any]
) -> None:
    """Record what the loop judge found, and the packet of figures that it was shown."""
    await store.save(rounds=[{"round_id": round_id, "judgement": judgement, "packet": packet}])


async def record_stopping(store: Store, round_id: str, basis: Mapping[str, Any]) -> None:
    """Record what adaptive stopping goes by in a round, as its packet, and later what became of its candidate."""
    await store.save(rounds=[{"round_id": round_id, "packet": {"stopping": basis}}])


async def record_attempts(
    store: Store, round_id: str, attempts: Sequence[tuple[Attempt, str]], *, model: str, mode: Mapping[str, Any]
) -> None:
    """Record attempts with their answers, the model that made them, and the solver's mode."""
    rows = [
        {
            "attempt_id": attempt.attempt_id,
            "round_id": round_id,
            "candidate_id": attempt.candidate_id,
            "stage": attempt.stage.value,
            "idx": attempt.index,
            "answer": answer,
            "chars": attempt.chars,
            "truncated": int(attempt.truncated),
            "answered": int(attempt.answered),
            "model": model,
            "mode": canonical_json(mode),
        }
        for attempt, answer in attempts
    ]
    await store.save(attempts=rows)


async def record_marks(
    store: Store, round_id: str, marked: Sequence[Marked], criteria: Sequence[tuple[str, int]], ruled: Ruled | None
) -> None:
    """Record new marks by criterion (its text and weight, in order), and the verdict if there is one already."""
    await store.save(
        attempts=[
            {
                "attempt_id": one.mark.attempt_id,
                "round_id": round_id,
                "score": str(one.mark.score),
                "score_value": float(one.mark.score),
                "decided_by": one.mark.decided_by,
            }
            for one in marked
        ],
        marks=[row for one in marked for row in _mark_rows(one, criteria)],
        verdicts=[_verdict_row(round_id, ruled)] if ruled else [],
    )


CONFIRMING = "confirm"
"""The stage of a verdict over fresh attempts."""


async def record_confirmation(
    store: Store, round_id: str, preset: str, confirmation: Confirmation, summary: str
) -> None:
    """Record what fresh attempts at a round's candidate scored, as a verdict of a stage of its own.

    Their answers and marks stand in the journal alone, so that no figure of the selecting attempts counts them.
    """
    row = {
        "round_id": round_id,
        "stage": CONFIRMING,
        "preset": preset,
        "decision": (Decision.ACCEPT if confirmation.passed else Decision.REJECT).value,
        "failure_mode": None if confirmation.passed else FailureMode.NOT_CONFIRMED.value,
        "checks": canonical_json([_plain(check) for check in confirmation.checks]),
        **_means(confirmation),
        "summary": summary,
        "planned": len(confirmation.weak_scores),
        "made": len(confirmation.weak_scores) + len(confirmation.strong_scores),
    }
    await store.save(verdicts=[row])


async def record_rejected(
    store: Store,
    document_id: str,
    closed: Round,
    status: DocumentStatus,
    *,
    why: str,
    reason: str,
    feedback: str | None,
) -> None:
    """Record the end of a rejected round, and where its document stands now.

    `why` is the document's `status_reason`, `reason` the round's, whole, and `feedback` the text for the next
    challenger: None where there is none.
    """
    reported = {} if feedback is None else {"feedback": feedback}
    await store.save(
        rounds=[{**_closed_row(closed), "reason": reason, **reported}],
        documents=[document_row(document_id, status, why, closed.n)],
    )


async def record_accepted(store: Store, closed: Round, example: Example, *, tied: bool) -> None:
    """Record the end of an accepted round, and its example. `tied` is what `numbers.tied_to_numbers` found."""
    await store.save(
        rounds=[_closed_row(closed)],
        documents=[document_row(example.document_id, DocumentStatus.ACCEPTED, "", closed.n)],
        examples=[
            {
                "example_id": example.example_id,
                "document_id": example.document_id,
                "round_id": closed.round_id,
                "example": canonical_json(_plain(example)),
                **_means(example),
                "rounds": example.rounds,
                "question_key": closed.question_key,
                "tied": tied,
            }
        ],
    )


def _open_row(opened: OpenRound) -> dict[str, Any]:
    return {
        "round_id": opened.round_id,
        "document_id": opened.document_id,
        "thread_id": opened.thread_id,
        "n": opened.n,
        "candidate_id": opened.candidate.candidate_id if opened.candidate else None,
        "passage": opened.passage,
        "outcome": "open",
        "prompt_version": opened.prompt_version,
        "lessons": " ".join(opened.lessons),
    }


def _candidate_rows(opened: OpenRound) -> list[dict[str, Any]]:
    candidate = opened.candidate
    if candidate is None:
        return []
    return [
        {
            "candidate_id": candidate.candidate_id,
            "kind": opened.kind,
            "question": candidate.question,
            "context": candidate.context,
            "reference_answer": candidate.reference_answer,
            "candidate": canonical_json(candidate.model_dump(mode="json")),
        }
    ]


def _mark_rows(marked: Marked, criteria: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    looked_at = zip(criteria, map(int, marked.mark.met), marked.reasons, strict=False)
    return [
        {
            "attempt_id": marked.mark.attempt_id,
            "criterion": k,
            "text": text,
            "weight": weight,
            "met": met,
            "reason": why,
        }
        for k, ((text, weight), met, why) in enumerate(looked_at, 1)
    ]


def _verdict_row(round_id: str, ruled: Ruled) -> dict[str, Any]:
    verdict = ruled.verdict
    return {
        "round_id": round_id,
        "stage": verdict.stage.value,
        "preset": verdict.preset,
        "decision": verdict.decision.value,
        "failure_mode": verdict.failure_mode.value if verdict.failure_mode else None,
        "checks": canonical_json([_plain(check) for check in verdict.checks]),
        **_means(verdict),
        "summary": verdict.summary,
        "planned": ruled.planned,
        "made": ruled.made,
    }


def _closed_row(closed: Round) -> dict[str, Any]:
    return {
        "round_id": closed.round_id,
        "outcome": "rejected" if closed.failure_mode else "accepted",
        "failure_mode": closed.failure_mode.value if closed.failure_mode else None,
        "reason": closed.reason,
        **_means(closed),
    }


def _means(of: Verdict | Round | Example | Confirmation) -> dict[str, float | None]:
    return {"weak_mean": _float(of.weak_mean), "strong_mean": _float(of.strong_mean), "gap": _float(of.gap)}


def _float(value: Fraction | None) -> float | None:
    return None if value is None else float(value)


def _plain(record: Record) -> dict[str, Any]:
    return record.model_dump(mode="json")
