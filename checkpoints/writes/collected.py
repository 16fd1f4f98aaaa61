"""What is recorded of a document that a server worked on: its result, as the server gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autodata.checkpoints.ids import canonical_json
from autodata.checkpoints.protocols import Store
from autodata.checkpoints.schema import TABLES

_MEANS = ("weak_mean", "strong_mean", "gap")


async def record_collected(
    store: Store, document_id: str, thread_id: str, result: Mapping[str, Any], *, question_key: str, tied: bool
) -> None:
    """Record a result: status, rounds, candidates, verdicts, the example.

    `question_key` and `tied` are the example's, if there is one. Raw answers stay at the server, so there are no rows
    of attempts.
    """
    history: Sequence[Mapping[str, Any]] = result.get("history") or []
    example, found = result.get("example"), {"question_key": question_key, "tied": tied}
    await store.save(
        candidates=[_candidate_row(one) for one in history if one.get("candidate") and one.get("candidate_id")],
        rounds=[_round_row(one, document_id, thread_id) for one in history],
        verdicts=[_verdict_row(verdict, one["round_id"]) for one in history for verdict in one.get("verdicts") or []],
        examples=[_example_row(example, document_id, history[-1]) | found] if example else [],
        documents=[
            {
                "document_id": document_id,
                "status": result["status"],
                "status_reason": result.get("status_reason") or "",
                "rounds": len(history),
                "settled": 1,
            }
        ],
    )


def _candidate_row(one: Mapping[str, Any]) -> dict[str, Any]:
    candidate = one["candidate"]
    about = {name: candidate.get(name, "") for name in ("question", "context", "reference_answer")}
    about |= {"candidate_id": one["candidate_id"], "kind": one.get("kind") or ""}
    return {**about, "candidate": canonical_json(candidate)}


def _round_row(one: Mapping[str, Any], document_id: str, thread_id: str) -> dict[str, Any]:
    known = {name: one[name] for name in TABLES["rounds"].columns if name in one}
    return {**known, "document_id": document_id, "thread_id": thread_id}


def _verdict_row(verdict: Mapping[str, Any], round_id: str) -> dict[str, Any]:
    known = {name: verdict[name] for name in TABLES["verdicts"].columns if name in verdict}
    return {**known, "round_id": round_id}


def _example_row(example: Mapping[str, Any], document_id: str, last: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "example_id": example["example_id"],
        "document_id": document_id,
        "round_id": last["round_id"],
        "rounds": example["rounds"],
        "example": canonical_json({**example, "document_id": document_id}),
        **{name: last.get(name) for name in _MEANS},
    }
