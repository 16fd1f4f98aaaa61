"""What challengers were asked and wrote, and what became of it: the turns of a run, for those who train on them."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from autodata.checkpoints.ledger import Reader

_CALLS = """
SELECT c.*, d.name, d.title, d.text, d.note, d.extract FROM calls c JOIN documents d USING (document_id)
WHERE c.role = 'challenger' AND c.thread_id = ? || c.document_id AND d.status != 'dropped'
ORDER BY d.rowid, c.n, c.idx, c.epoch, c.try
"""
_ROUNDS = """
SELECT r.document_id, r.n, r.candidate_id, r.passage, r.outcome, r.failure_mode, r.reason, r.feedback, r.screen,
  r.weak_mean, r.strong_mean, r.gap, c.question
FROM rounds r LEFT JOIN candidates c USING (candidate_id) WHERE r.thread_id = ? || r.document_id ORDER BY r.n, r.rowid
"""


async def challenger_calls(ledger: Reader, evaluation: str) -> list[dict[str, Any]]:
    """Return the challenger's calls with their document, by document, round, challenger, epoch and try.

    Each is a row of table `calls` with (name, title, text, note, extract) of its document; dropped ones are left out.
    """
    return await ledger.read(_CALLS, (f"{evaluation}/",))


async def rounds_of_evaluation(ledger: Reader, evaluation: str) -> list[dict[str, Any]]:
    """Return the rounds of an evaluation, each with what came of it and its candidate's question, in order."""
    return await ledger.read(_ROUNDS, (f"{evaluation}/",))


async def texts_of(ledger: Reader, ids: Collection[str]) -> dict[str, str]:
    """Return the texts of some documents by id."""
    rows = await ledger.read(
        "SELECT document_id, text FROM documents WHERE document_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(ids)),),
    )
    return {row["document_id"]: row["text"] for row in rows}
