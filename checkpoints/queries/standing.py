"""How a run stands while it goes on: where its documents are, when examples came, what its endpoints do."""

from __future__ import annotations

from typing import Any

from autodata.checkpoints.ledger import Reader

_WORKING = """
SELECT (SELECT role || ' ' || node || ' ' || idx FROM calls c WHERE c.document_id = d.document_id
        ORDER BY c.rowid DESC LIMIT 1) AS latest,
    (SELECT outcome FROM rounds r WHERE r.document_id = d.document_id ORDER BY r.n DESC LIMIT 1) AS outcome
FROM documents d WHERE d.status = 'pending' AND EXISTS (SELECT 1 FROM calls WHERE document_id = d.document_id)
"""
_ENDED_SINCE = """
SELECT d.status, count(*) AS n FROM documents d
WHERE d.status IN ('accepted', 'rejected', 'skipped', 'errored')
    AND (SELECT max(created_at) FROM calls WHERE document_id = d.document_id) >= ?
GROUP BY d.status
"""
_USED_SINCE = """
SELECT count(*) AS calls, coalesce(sum(tokens_in), 0) AS tokens_in, coalesce(sum(tokens_out), 0) AS tokens_out,
    sum(cost_usd) AS cost_usd FROM calls WHERE created_at >= ?
"""
_CALLS_OF_SESSION = """
SELECT model, count(*) FILTER (WHERE status = 'open') AS in_flight,
    count(*) FILTER (WHERE status = 'error') AS errors,
    (SELECT error FROM spans l WHERE l.kind = 'call' AND l.model = s.model AND l.status = 'error'
        AND l.started >= :since ORDER BY l.ended DESC LIMIT 1) AS last_error
FROM spans s WHERE kind = 'call' AND started >= :since GROUP BY model ORDER BY model
"""
_LATEST_WALKS = """
SELECT status, error, started, ended FROM spans WHERE kind = 'document' ORDER BY rowid DESC LIMIT ?
"""
_WALKS_AT_ONCE = 1000
"""Walks of documents that may have begun since one that was stopped: those in work at once."""


async def statuses_of(ledger: Reader) -> dict[str, int]:
    """Return how many documents have each status."""
    rows = await ledger.read("SELECT status, count(*) AS n FROM documents GROUP BY status")
    return {row["status"]: row["n"] for row in rows}


async def documents_in_work(ledger: Reader) -> list[dict[str, Any]]:
    """Return (latest, outcome) of each pending document that was begun.

    `latest` is its last call's role, node and index with spaces between; `outcome` that of its latest round, None
    before the first one.
    """
    return await ledger.read(_WORKING)


async def ended_since(ledger: Reader, moment: str) -> dict[str, int]:
    """Return how many documents of each status ended with a call since a moment, in ISO 8601."""
    return {row["status"]: row["n"] for row in await ledger.read(_ENDED_SINCE, (moment,))}


async def used_since(ledger: Reader, moment: str) -> dict[str, Any]:
    """Return calls, tokens_in, tokens_out and cost_usd of the calls since a moment, in ISO 8601."""
    return (await ledger.read(_USED_SINCE, (moment,)))[0]


async def calls_by_model(ledger: Reader, moment: str) -> list[dict[str, Any]]:
    """Return (model, in_flight, errors, last_error) of the traced calls since a moment, in ISO 8601."""
    return await ledger.read(_CALLS_OF_SESSION, {"since": moment})


async def why_stopped(ledger: Reader) -> str:
    """Return why the latest session stopped in the midst of documents, as its trace has it; empty where it did not.

    It is empty too where nothing is traced, and where a later session has begun a document.
    """
    walks = await ledger.read(_LATEST_WALKS, (_WALKS_AT_ONCE,))
    latest = max((walk["started"] for walk in walks), default="")
    stopped = (walk for walk in walks if walk["status"] == "stopped" and (walk["ended"] or "") >= latest)
    return next((str(walk["error"]) for walk in stopped if " " in walk["error"]), "")
