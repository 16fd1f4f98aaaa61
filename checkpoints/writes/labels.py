"""What is recorded of the questions to people: each when it is asked, and the answer when there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autodata.checkpoints.protocols import Store
from autodata.checkpoints.records import Candidate
from autodata.checkpoints.writes.rounds import OpenRound


async def record_question(
    store: Store, label_id: str, opened: OpenRound, *, verdict: str, why: str, again: bool
) -> None:
    """Record a question that a person is asked about an open round: what the gates said, and why it is asked.

    `again`: an answer stored beside the run cannot be taken, and is forgotten. Raises ValueError without a candidate.
    """
    if opened.candidate is None:
        raise ValueError(f"round {opened.round_id} has no candidate to ask about")
    row: dict[str, Any] = {
        "label_id": label_id,
        "verdict": verdict,
        "why": why,
        "document_id": opened.document_id,
        "thread_id": opened.thread_id,
        "n": opened.n,
        "round_id": opened.round_id,
        "candidate_id": opened.candidate.candidate_id,
    }
    if again:
        row |= {"decision": None, "edited": None}
    await store.save(labels=[row])


async def record_findings(store: Store, label_id: str, marks: Mapping[str, Mapping[str, bool]]) -> None:
    """Record what a person found of criteria: by attempt's id, and in it by criterion's number from 1 as text.

    The question stays open.
    """
    found = {attempt: dict(met) for attempt, met in marks.items()}
    await store.save(labels=[{"label_id": label_id, "marks": found}])


async def record_answer(
    store: Store, label_id: str, *, decision: str, reason: str, edited: Candidate | None, reviewer: str, at: str
) -> None:
    """Record what a person answered: `approve`, `edit` or `reject`, the candidate as they changed it, who, and when."""
    row = {
        "label_id": label_id,
        "decision": decision,
        "reason": reason,
        "edited": edited.model_dump(mode="json") if edited else None,
        "edited_id": edited.candidate_id if edited else None,
        "reviewer": reviewer,
        "created_at": at,
    }
    await store.save(labels=[row])
