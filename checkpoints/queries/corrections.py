"""What people changed of a run afterwards, and the runs that a folder holds at a glance."""

from __future__ import annotations

from typing import Any

from autodata.checkpoints.ledger import Reader

ROUNDS_BEFORE = "rounds_before/"
"""Names in table `meta`: how many rounds a document had when it was asked about again."""
DROPPED = "dropped/"
"""Names in table `meta`: what a document was before it was dropped; empty once it was taken back."""

_GLANCE = """
SELECT
    (SELECT coalesce(json_group_object(status, n), '{}') FROM
        (SELECT status, count(*) AS n FROM documents GROUP BY status) AS by_status) AS statuses,
    (SELECT count(*) FROM calls) AS calls,
    (SELECT sum(cost_usd) FROM calls) AS cost_usd,
    (SELECT created_at FROM calls ORDER BY rowid DESC LIMIT 1) AS last_call
"""


async def rounds_before(ledger: Reader) -> dict[str, int]:
    """Return by document how many rounds it had when it was asked about again, of those that were."""
    rows = await _named(ledger, ROUNDS_BEFORE)
    return {row["key"].removeprefix(ROUNDS_BEFORE): int(row["value"]) for row in rows}


async def dropped_documents(ledger: Reader) -> dict[str, str]:
    """Return by dropped document what it was before, as `corrections.record_dropped` kept it."""
    return {row["key"].removeprefix(DROPPED): row["value"] for row in await _named(ledger, DROPPED) if row["value"]}


async def ended_for_rounds(ledger: Reader, fewer_than: int) -> list[str]:
    """Return the documents that were rejected for want of rounds after fewer than so many, in order."""
    before = await rounds_before(ledger)
    rows = await ledger.read(
        "SELECT document_id, rounds FROM documents WHERE status = 'rejected' AND status_reason = 'max_rounds'"
        " ORDER BY rowid"
    )
    return [row["document_id"] for row in rows if row["rounds"] - before.get(row["document_id"], 0) < fewer_than]


async def standing(ledger: Reader) -> list[dict[str, Any]]:
    """Return (document_id, name, status, status_reason, rounds, epoch, settled, example_id) of all documents."""
    return await ledger.read(
        "SELECT d.document_id, d.name, d.status, d.status_reason, d.rounds, d.epoch, d.settled,"
        " (SELECT e.example_id FROM examples e WHERE e.document_id = d.document_id LIMIT 1) AS example_id"
        " FROM documents d ORDER BY d.rowid"
    )


async def glance(ledger: Reader) -> dict[str, Any]:
    """Return statuses (JSON, number by status), calls, cost_usd and last_call, the time of the latest."""
    (row,) = await ledger.read(_GLANCE)
    return row


async def _named(ledger: Reader, prefix: str) -> list[dict[str, Any]]:
    return await ledger.read(
        "SELECT key, value FROM meta WHERE key >= ? AND key < ?", (prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1))
    )
