"""Rounds whole, with attempts, marks and verdicts, their JSON read: for commands, exports and servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from autodata.checkpoints.ledger import Reader, open_readonly
from autodata.checkpoints.places import place_of
from autodata.checkpoints.queries.documents import extract_of, status_of
from autodata.checkpoints.queries.rounds import (
    attempts_of_round,
    failures_of_document,
    forks_of_document,
    labels_of_round,
    marks_of_round,
    parts_of_rounds,
    round_of,
    rounds_by_id,
    rounds_of_document,
    verdicts_of_round,
)

_JSON = ("candidate", "quality", "judgement", "packet", "screen", "mode", "checks")
_LONG = ("answer", "round_id", "candidate_id", "attempt_id", "score_value")
"""What a history leaves out of attempts and verdicts: raw answers, and ids that follow from their place."""


async def document_with_rounds(ledger: Reader, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document's row with all its `rounds` and `failures`: what `autodata show --json` prints."""
    document_id = document["document_id"]
    rounds = [await _whole_round(ledger, row) for row in await rounds_of_document(ledger, document_id)]
    failures = await failures_of_document(ledger, document_id)
    found = await extract_of(ledger, document_id)
    extract = json.loads(found) if found else None
    reported = {"rounds_made": document["rounds"], "failures": failures, "forks": await _forks(ledger, document_id)}
    return {**document, "extract": extract, **reported, "rounds": rounds}


async def _forks(ledger: Reader, document_id: str) -> list[dict[str, Any]]:
    """Return a document's forks, each with the status that its own folder gives, `unknown` where it is gone."""
    forks = await forks_of_document(ledger, document_id)
    for row in forks:
        row["status"], place = "unknown", await asyncio.to_thread(place_of, ledger.folder / row["folder"])
        if place is not None:
            async with open_readonly(place) as own:
                row["status"] = await status_of(own, document_id) or "unknown"
    return forks


async def whole_round(ledger: Reader, round_id: str) -> dict[str, Any]:
    """Return one round as `document_with_rounds` has it."""
    row = await round_of(ledger, round_id)
    if row is None:
        raise KeyError(round_id)
    return await _whole_round(ledger, row)


async def _whole_round(ledger: Reader, row: Mapping[str, Any]) -> dict[str, Any]:
    key = row["round_id"]
    marks = await marks_of_round(ledger, key)
    attempts = await attempts_of_round(ledger, key)
    verdicts = await verdicts_of_round(ledger, key)
    labels = await labels_of_round(ledger, key)
    for attempt in attempts:
        own = [mark for mark in marks if mark["attempt_id"] == attempt["attempt_id"]]
        attempt["mode"] = json.loads(attempt["mode"])
        attempt |= {name: bool(attempt[name]) for name in ("truncated", "answered")}
        attempt["marks"] = [
            {name: mark[name] for name in ("criterion", "text", "weight", "reason")} | {"met": bool(mark["met"])}
            for mark in own
        ]
    for verdict in verdicts:
        verdict["checks"] = json.loads(verdict["checks"])
    columns = ("candidate", "quality", "judgement", "packet", "screen")
    read = {name: json.loads(row[name]) if row[name] else None for name in columns}
    return {**row, **read, "attempts": attempts, "verdicts": verdicts, "labels": labels}


async def round_record(ledger: Reader, round_id: str) -> dict[str, Any]:
    """Return one round, as an export holds it, so that its reader needs no ledger.

    Question, findings, every answer with its marks, figures, verdict, and what was fed back.

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


async def history(ledger: Reader, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return some rounds whole, in order, as a server's caller gets them: without raw answers."""
    rounds = [_plain(row) for row in await rounds_by_id(ledger, ids)]
    for table in ("attempts", "verdicts"):
        rows = await parts_of_rounds(ledger, table, ids)
        for one in rounds:
            of_round = [row for row in rows if row["round_id"] == one["round_id"]]
            one[table] = [{k: v for k, v in _plain(row).items() if k not in _LONG} for row in of_round]
    return rounds


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a ledger's row with its JSON texts read."""
    return {name: json.loads(value) if name in _JSON and value else value for name, value in row.items()}
