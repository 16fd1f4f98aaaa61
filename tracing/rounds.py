"""A closed round as the ledger knows it, whole: what an export holds, so that a reader of traces needs no ledger."""

from __future__ import annotations

import json
from typing import Any

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.rounds import attempts_of_round, marks_of_round, round_of


async def round_record(ledger: Reader, round_id: str) -> dict[str, Any]:
    """Return one round: question, findings, every answer with its marks, figures, verdict, and what was fed back.

    Scores and means are numbers in 0..1. Empty when the ledger has no such round.
    """
    found = await round_of(ledger, round_id)
    if found is None:
        return {}
    marks: dict[str, list[dict[str, Any]]] = {}
    for row in await marks_of_round(ledger, round_id):
        mark = {"criterion": row["text"], "weight": row["weight"], "met": bool(row["met"]), "reason": row["reason"]}
        marks.setdefault(row["attempt_id"], []).append(mark)
    attempts = [
        {
            "attempt_id": row["attempt_id"],
            "stage": row["stage"],
            "index": row["idx"],
            "answer": row["answer"],
            "score": row["score_value"],
            "decided_by": row["decided_by"],
            "truncated": bool(row["truncated"]),
            "marks": marks.get(row["attempt_id"], []),
        }
        for row in await attempts_of_round(ledger, round_id)
    ]
    plain = ("round_id", "document_id", "n", "outcome", "failure_mode", "reason", "feedback", "passage")
    record = {name: found[name] for name in (*plain, "weak_mean", "strong_mean", "gap")}
    for name in ("candidate", "quality", "judgement"):
        record[name] = json.loads(found[name]) if found[name] else None
    return {**record, "attempts": attempts}
