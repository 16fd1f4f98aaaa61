"""What a calibration reads of a run: the attempts that a judge marked, and the scores behind each verdict."""

from __future__ import annotations

from typing import Any

from autodata.checkpoints.ledger import Reader

_SCORED = """
SELECT a.attempt_id, a.round_id, a.stage, a.idx, a.answer, a.score, a.score_value, a.decided_by, r.document_id, r.n,
    c.candidate
FROM attempts a JOIN rounds r ON r.round_id = a.round_id JOIN documents d ON d.document_id = r.document_id
    JOIN candidates c ON c.candidate_id = r.candidate_id
WHERE a.score IS NOT NULL AND d.status != 'dropped' AND r.outcome IN ('accepted', 'rejected')
ORDER BY r.rowid, a.stage = 'strong', a.idx
"""
_MARKS = "SELECT attempt_id, met FROM marks ORDER BY attempt_id, criterion"
_REVIEWED = """
SELECT verdict, decision, count(*) AS n FROM labels WHERE decision IS NOT NULL GROUP BY verdict, decision
"""


async def scored_attempts(ledger: Reader) -> list[dict[str, Any]]:
    """Return a row for each scored attempt of a closed round, round by round, the weak solver's first.

    (attempt_id, round_id, stage, idx, answer, score, score_value, decided_by, document_id, n, candidate, met): `score`
    is an exact fraction as text, `candidate` a JSON text, and `met` what was found of each criterion, in order.
    """
    met: dict[str, list[bool]] = {}
    for row in await ledger.read(_MARKS):
        met.setdefault(row["attempt_id"], []).append(bool(row["met"]))
    return [{**row, "met": tuple(met.get(row["attempt_id"], ()))} for row in await ledger.read(_SCORED)]


async def judged_attempts(ledger: Reader) -> list[dict[str, Any]]:
    """Return those of `scored_attempts` that a judge marked by criteria."""
    return [row for row in await scored_attempts(ledger) if row["decided_by"] == "judge" and row["met"]]


async def reviewed_verdicts(ledger: Reader) -> list[dict[str, Any]]:
    """Return (verdict, decision, n): what people said of candidates with a verdict."""
    return await ledger.read(_REVIEWED)
