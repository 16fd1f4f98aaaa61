"""What was looked at once more before candidates were trusted: fresh attempts, and audits."""

from __future__ import annotations

import json
from typing import Any

from autodata.checkpoints.ledger import Reader

_CONFIRMED = """
SELECT r.document_id, v.planned AS attempts, v.decision, v.weak_mean AS weak, v.strong_mean AS strong, v.gap,
    s.weak_mean AS selecting_weak, s.strong_mean AS selecting_strong, s.gap AS selecting_gap, e.example_id
FROM verdicts v JOIN rounds r ON r.round_id = v.round_id JOIN documents d ON d.document_id = r.document_id
    LEFT JOIN verdicts s ON s.round_id = r.round_id AND s.stage = 'strong'
    LEFT JOIN examples e ON e.round_id = r.round_id
WHERE v.stage = 'confirm' AND d.status != 'dropped' AND r.outcome != 'edited' ORDER BY r.rowid
"""
_AUDITED = """
SELECT r.quality FROM rounds r JOIN documents d ON d.document_id = r.document_id
WHERE r.quality LIKE '%"audit":%' AND r.outcome != 'edited' AND d.status != 'dropped'
"""


async def confirmed_rounds(ledger: Reader) -> list[dict[str, Any]]:
    """Return a row for every candidate that fresh attempts were made at, those that they refused too.

    (document_id, attempts, passed, weak, strong, gap, selecting_weak, selecting_strong, selecting_gap, accepted):
    `attempts` are the fresh ones of each solver, `weak`, `strong` and `gap` their means, the selecting ones None where
    attempts stopped early.
    """
    rows = await ledger.read(_CONFIRMED)
    for row in rows:
        row["passed"], row["accepted"] = row.pop("decision") == "accept", row.pop("example_id") is not None
    return rows


async def audited_rounds(ledger: Reader) -> dict[str, int]:
    """Return (candidates, refused, canaries, closed_contexts): how many were audited, and what was tried at them."""
    found = [json.loads(row["quality"]).get("audit") for row in await ledger.read(_AUDITED)]
    audits = [audit for audit in found if isinstance(audit, dict)]
    return {
        "candidates": len(audits),
        "refused": sum(not audit.get("passed") for audit in audits),
        "canaries": sum(len(audit.get("canaries") or ()) for audit in audits),
        "closed_contexts": sum(audit.get("closed_context") is not None for audit in audits),
    }
