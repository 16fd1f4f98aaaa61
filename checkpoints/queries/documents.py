"""Documents and accepted examples: where each stands, in the order in which they came."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from autodata.checkpoints.ledger import Reader

_WITH_EXAMPLES = """
SELECT d.document_id, d.name, d.title, d.status, d.status_reason, d.note, d.chars, d.rounds, d.epoch, e.example
FROM documents d LEFT JOIN examples e USING (document_id) ORDER BY d.rowid
"""
_EXAMPLES = "SELECT e.example FROM examples e JOIN documents d USING (document_id) WHERE d.status != 'dropped'"


async def documents(ledger: Reader) -> list[dict[str, Any]]:
    """Return (document_id, name, status, status_reason, rounds, epoch)."""
    return await ledger.read(
        "SELECT document_id, name, status, status_reason, rounds, epoch FROM documents ORDER BY rowid"
    )


async def documents_with_examples(ledger: Reader) -> list[dict[str, Any]]:
    """Return what `autodata show` lists of each document; `example` is None where none was accepted."""
    return await ledger.read(_WITH_EXAMPLES)


async def document_ids(ledger: Reader) -> set[str]:
    """Return the ids of all documents, of skipped ones too."""
    return {row["document_id"] for row in await ledger.read("SELECT document_id FROM documents")}


async def rows_of_documents(ledger: Reader, wanted: Collection[str]) -> list[dict[str, Any]]:
    """Return the whole rows of some documents."""
    marks = ", ".join("?" * len(wanted))
    return await ledger.read(f"SELECT * FROM documents WHERE document_id IN ({marks})", tuple(wanted))  # noqa: S608 - question marks alone


async def count_documents(ledger: Reader, *statuses: str) -> int:
    """Return how many documents there are, or how many of these statuses."""
    marks = ", ".join("?" * len(statuses))
    of_status = f" WHERE status IN ({marks})" if statuses else ""
    rows = await ledger.read(f"SELECT count(*) AS n FROM documents{of_status}", statuses)  # noqa: S608 - question marks alone
    return int(rows[0]["n"])


async def status_of(ledger: Reader, document_id: str) -> str | None:
    """Return a document's status, None for an unknown one."""
    rows = await ledger.read("SELECT status FROM documents WHERE document_id = ?", (document_id,))
    return rows[0]["status"] if rows else None


async def extract_of(ledger: Reader, document_id: str) -> str | None:
    """Return the JSON of what an extractor found in a document, None where there is none."""
    [found] = await ledger.read("SELECT extract FROM documents WHERE document_id = ?", (document_id,))
    text: str | None = found["extract"]
    return text


async def answered_documents(ledger: Reader) -> list[dict[str, Any]]:
    """Return (document_id, name, title, status, epoch) of waiting documents without an open question."""
    return await ledger.read(
        "SELECT document_id, name, title, status, epoch FROM documents d WHERE status = 'waiting' AND NOT EXISTS"
        " (SELECT 1 FROM labels WHERE document_id = d.document_id AND decision IS NULL) ORDER BY d.rowid"
    )


async def trial_of(ledger: Reader, evaluation: str, document_id: str) -> dict[str, Any] | None:
    """Return (status, epoch) of a document within an evaluation, None where it is not in it."""
    rows = await ledger.read(
        "SELECT status, epoch FROM trials WHERE evaluation = ? AND document_id = ?", (evaluation, document_id)
    )
    return rows[0] if rows else None


async def examples(ledger: Reader, *, by_document: bool = False) -> list[str]:
    """Return the JSON of the accepted examples that were not dropped.

    The order is that of acceptance, or of the documents.
    """
    order = "d.rowid, e.rowid" if by_document else "e.rowid"
    sql = f"{_EXAMPLES} ORDER BY {order}"
    return [row["example"] for row in await ledger.read(sql)]
