"""Everything that happened to every document of a run, as plain values in the order in which it happened."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.trajectories import (
    all_attempts,
    all_documents,
    all_failures,
    all_labels,
    all_marks,
    all_rounds,
    all_verdicts,
)
from autodata.checkpoints.records import Stage

Rows = Sequence[Mapping[str, Any]]


async def read_trajectories(ledger: Reader) -> list[dict[str, Any]]:
    """Return a run's documents in order, each with its `rounds` and its `errors`; scores are in 0..1 or None."""
    marks = _by("attempt_id", await all_marks(ledger))
    attempts = _by("round_id", await all_attempts(ledger))
    verdicts = _by("round_id", await all_verdicts(ledger))
    labels = _by("round_id", await all_labels(ledger))
    failures = _by("document_id", await all_failures(ledger))
    rounds = _by("document_id", await all_rounds(ledger))
    return [
        {
            "id": row["document_id"],
            "name": row["name"],
            "title": row["title"],
            "status": row["status"],
            "why": row["status_reason"],
            "note": row["note"],
            "text": row["text"],
            "errors": [f"{one['kind']}: {one['message']}" for one in failures.get(row["document_id"], ())],
            "rounds": [
                trajectory_round(
                    one,
                    [(attempt, marks.get(attempt["attempt_id"], ())) for attempt in attempts.get(one["round_id"], ())],
                    verdicts.get(one["round_id"], ()),
                    labels.get(one["round_id"], ()),
                )
                for one in rounds.get(row["document_id"], ())
            ],
        }
        for row in await all_documents(ledger)
    ]


def trajectory_round(
    row: Mapping[str, Any],
    attempts: Iterable[tuple[Mapping[str, Any], Rows]] = (),
    verdicts: Rows = (),
    labels: Rows = (),
) -> dict[str, Any]:
    """Return one round with its question, attempts and verdicts.

    `weak`, `strong` and `gap` are the recorded means. Where attempts stopped early there are none: then the means of
    the attempts that were made stand there, and `partial` is true.
    """
    candidate = json.loads(row["candidate"]) if row["candidate"] else {}
    made = [_attempt(attempt, marks) for attempt, marks in attempts]
    weak, strong = row["weak_mean"], row["strong_mean"]
    partial = weak is None and any(one["score"] is not None for one in made)
    if partial:
        weak, strong = (_mean(made, stage) for stage in Stage)
    gap = strong - weak if partial and weak is not None and strong is not None else row["gap"]
    return {
        "n": row["n"],
        "outcome": row["outcome"],
        "mode": row["failure_mode"] or "",
        "reason": row["reason"],
        "feedback": row["feedback"],
        "passage": row["passage"],
        "question": candidate.get("question") or "",
        "context": candidate.get("context") or "",
        "reference": candidate.get("reference_answer") or "",
        "type": candidate.get("question_type") or "",
        "skills": list(candidate.get("skills") or ()),
        "rubric": [
            [item.get("weight", 0), str(item.get("criterion", "")), str(item.get("category") or "")]
            for item in candidate.get("rubric") or ()
        ],
        "weak": _short(weak),
        "strong": _short(strong),
        "gap": _short(gap),
        "partial": partial,
        "attempts": made,
        "verdicts": [_verdict(one) for one in verdicts],
        "quality": _readable(row["quality"]),
        "judgement": _readable(row["judgement"]),
        "labels": [_label(one) for one in labels],
        "lessons": ", ".join((row.get("lessons") or "").split()),
    }


def _attempt(row: Mapping[str, Any], marks: Rows) -> dict[str, Any]:
    return {
        "stage": row["stage"],
        "index": row["idx"],
        "score": _short(row["score_value"]),
        "answer": row["answer"],
        "model": row["model"],
        "by": row["decided_by"] or "",
        "cut": bool(row["truncated"]),
        "unanswered": not row["answered"],
        "marks": [[mark["text"], mark["weight"], bool(mark["met"]), mark["reason"]] for mark in marks],
    }


def _verdict(row: Mapping[str, Any]) -> dict[str, Any]:
    checks = [[one["name"], one["value"], one["bound"], one["passed"]] for one in json.loads(row["checks"])]
    return {
        "stage": row["stage"],
        "preset": row["preset"],
        "decision": row["decision"],
        "mode": row["failure_mode"] or "",
        "checks": checks,
        "summary": row["summary"],
    }


def _label(row: Mapping[str, Any]) -> str:
    said = f"{row['decision']} by {row['reviewer'] or 'a person'}" if row["decision"] else "not answered yet"
    return f"asked ({row['verdict']}{': ' if row['why'] else ''}{row['why']}): {said}" + (
        f": {row['reason']}" if row["reason"] else ""
    )


def _readable(text: str | None) -> str:
    """Return a stored finding as lines `name: value`, whether it passed first; empty where there is none."""
    found = json.loads(text) if text else None
    if not isinstance(found, dict):
        return "" if found is None else json.dumps(found, ensure_ascii=False)
    lines = []
    for name, value in sorted(found.items(), key=lambda item: item[0] != "passed"):
        if name == "candidate_id":  # it says nothing to a person
            continue
        shown = ("no", "yes")[value] if isinstance(value, bool) else value
        shown = shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)
        lines.append(f"{name.replace('_', ' ')}: {shown}")
    return "\n".join(lines)


def _mean(attempts: Rows, stage: Stage) -> float | None:
    scores = [one["score"] for one in attempts if one["stage"] == stage.value and one["score"] is not None]
    return sum(scores) / len(scores) if scores else None


def _short(value: float | None) -> float | None:
    """Return a score with as many places as anybody reads."""
    return None if value is None else round(value, 4)


def _by(key: str, rows: Rows) -> dict[str, list[Mapping[str, Any]]]:
    return {name: list(group) for name, group in groupby(sorted(rows, key=itemgetter(key)), key=itemgetter(key))}
