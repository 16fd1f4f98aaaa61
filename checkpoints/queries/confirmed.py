"""What was looked at once more before candidates were trusted: fresh attempts, and audits."""

from __future__ import annotations

from typing import Any

from autodata.checkpoints.ledger import Reader

_CONFIRMED = """
SELECT r.document_id, v.planned AS attempts, v.decision = 'accept' AS passed,
    v.weak_mean AS weak, v.strong_mean AS strong, v.gap,
    s.weak_mean AS selecting_weak, s.strong_mean AS selecting_strong, s.gap AS selecting_gap,
    EXISTS (SELECT 1 FROM examples e WHERE e.round_id = r.round_id) AS accepted
FROM verdicts v JOIN rounds r USING (round_id) JOIN documents d USING (document_id)
    LEFT JOIN verdicts s ON s.round_id = r.round_id AND s.stage = 'strong'
WHERE v.stage = 'confirm' AND d.status != 'dropped' AND r.outcome != 'edited' ORDER BY r.rowid
"""
_AUDITED = """
SELECT count(*) AS candidates, coalesce(sum(NOT json_extract(quality, '$.audit.passed')), 0) AS refused,
    coalesce(sum((SELECT count(*) FROM json_each(quality, '$.audit.canaries'))), 0) AS canaries,
    coalesce(sum(json_extract(quality, '$.audit.closed_context') IS NOT NULL), 0) AS closed_contexts
FROM rounds JOIN documents USING (document_id)
WHERE json_extract(quality, '$.audit') IS NOT NULL AND outcome != 'edited' AND documents.status != 'dropped'
"""


async def confirmed_rounds(ledger: Reader) -> list[dict[str, Any]]:
    """Return a row for every candidate that fresh attempts were made at, those that they refused too.

    (document_id, attempts, passed, weak, strong, gap, selecting_weak, selecting_strong, selecting_gap, accepted):
    `attempts` are the fresh ones of each solver, `weak`, `strong` and `gap` their means, the selecting ones None where
    attempts stopped early.
    """
    return await ledger.read(_CONFIRMED)


async def audited_rounds(ledger: Reader) -> dict[str, int]:
    """Return (candidates, refused, canaries, closed_contexts): how many were audited, and what was tried at them."""
    [row] = await ledger.read(_AUDITED)
    return row
