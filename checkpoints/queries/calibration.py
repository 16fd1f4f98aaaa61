"""What a calibration reads of a run: the attempts that a judge marked, and the scores behind each verdict."""

from __future__ import annotations

from typing import Any

from autodata.checkpoints.ledger import Reader

_MARKED = """
SELECT a.attempt_id, a.round_id, a.stage, a.idx, a.answer, a.score_value, r.document_id, r.n, c.candidate,
    (SELECT json_group_array(met) FROM (SELECT met FROM marks m WHERE m.attempt_id = a.attempt_id ORDER BY criterion))
        AS met
FROM attempts a JOIN rounds r USING (round_id) JOIN documents d USING (document_id)
    JOIN candidates c ON c.candidate_id = r.candidate_id
WHERE a.decided_by = 'judge' AND d.status != 'dropped' AND r.outcome IN ('accepted', 'rejected') ORDER BY a.rowid
"""
_SCORED = """
SELECT a.round_id, a.attempt_id, a.stage, a.idx, a.score, a.decided_by, c.candidate,
    (SELECT json_group_array(met) FROM (SELECT met FROM marks m WHERE m.attempt_id = a.attempt_id ORDER BY criterion))
        AS met
FROM attempts a JOIN rounds r USING (round_id) JOIN candidates c ON c.candidate_id = r.candidate_id
    JOIN documents d USING (document_id)
WHERE a.score IS NOT NULL AND d.status != 'dropped' AND r.outcome IN ('accepted', 'rejected')
ORDER BY r.rowid, a.stage = 'strong', a.idx
"""
_REVIEWED = """
SELECT verdict, decision, count(*) AS n FROM labels WHERE decision IS NOT NULL GROUP BY verdict, decision
"""


async def judged_attempts(ledger: Reader) -> list[dict[str, Any]]:
    """Return a row for each attempt of a closed round that a judge marked.

    (attempt_id, round_id, stage, idx, answer, score_value, document_id, n, candidate, met): `candidate` and `met`, one
    0 or 1 for each criterion in order, are JSON texts.
    """
    return [row for row in await ledger.read(_MARKED) if row["met"] != "[]"]


async def scored_attempts(ledger: Reader) -> list[dict[str, Any]]:
    """Return a row for each scored attempt of a closed round, round by round, the weak solver's first.

    (round_id, attempt_id, stage, idx, score, decided_by, candidate, met): `score` is an exact fraction as text.
    """
    return await ledger.read(_SCORED)


async def reviewed_verdicts(ledger: Reader) -> list[dict[str, Any]]:
    """Return (verdict, decision, n): what people said of candidates with a verdict."""
    return await ledger.read(_REVIEWED)
