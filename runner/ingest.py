"""Taking documents into a run's ledger: each once, and what is none as skipped, with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from autodata.checkpoints.ids import digest
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries.documents import document_ids
from autodata.checkpoints.records import Document, DocumentStatus, Skipped

FEWEST = 20
"""Letters and digits that a document has at least. Nothing can be asked about fewer, and every round would be paid."""
BATCH = 200
"""Documents stored in one transaction while they are read."""


def too_short(text: str) -> str:
    """Return why a text is too short to ask about, empty if it is not."""
    held = sum(1 for _ in islice(filter(str.isalnum, text), FEWEST))
    return f"too short to ask about: {held} letters and digits, {FEWEST} are needed" if held < FEWEST else ""


async def take_in(ledger: Ledger, documents: Iterable[Document | Skipped]) -> list[Skipped]:
    """Store documents that the ledger does not hold yet, and inputs that are none as skipped, with the reason."""
    known = await document_ids(ledger)
    refused: list[Skipped] = []
    rows: list[dict[str, Any]] = []
    for item in documents:
        row = _row(item)
        if isinstance(item, Skipped):
            refused.append(item)
        if row["document_id"] not in known:
            known.add(row["document_id"])
            rows.append(row)
        if len(rows) >= BATCH:
            await ledger.save(documents=rows)
            rows = []
    if rows:
        await ledger.save(documents=rows)
    return refused


def _row(item: Document | Skipped) -> dict[str, Any]:
    if isinstance(item, Skipped):
        return {
            "document_id": f"skipped-{digest([item.name, item.reason])}",
            "name": item.name,
            "status": DocumentStatus.SKIPPED.value,
            "status_reason": item.reason,
            "settled": 1,
        }
    return {
        "document_id": item.document_id,
        "name": item.name,
        "title": item.title,
        "text": item.text,
        "chars": len(item.text),
        "note": item.note,
        "status": DocumentStatus.PENDING.value,
    }
