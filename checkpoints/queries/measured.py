"""What documents that have ended took, for estimates of those to come."""

from __future__ import annotations

from typing import Any

from autodata.checkpoints.ledger import Reader

_ENDED = "d.status IN ('accepted', 'rejected', 'skipped')"
_USE = f"""
SELECT d.document_id, d.status = 'accepted' AS accepted, d.rounds, d.chars, c.role, count(*) AS calls,
    total(coalesce(c.tokens_in, c.charged_in)) AS tokens_in, total(coalesce(c.tokens_out, c.charged_out)) AS tokens_out
FROM documents d JOIN calls c USING (document_id) WHERE {_ENDED} GROUP BY d.document_id, c.role ORDER BY d.rowid, c.role
"""  # noqa: S608 - constants alone
_TIMES = f"""
SELECT c.document_id, julianday(c.created_at) * 86400 AS ended, c.latency_s AS seconds
FROM documents d JOIN calls c USING (document_id) WHERE {_ENDED} ORDER BY c.document_id, c.created_at, c.rowid
"""  # noqa: S608 - constants alone

_TRIED = "t.status IN ('accepted', 'rejected', 'skipped')"
_OF_TRIALS = """trials t JOIN documents d USING (document_id)
    JOIN calls c ON c.thread_id = t.evaluation || '/' || t.document_id"""
_USE_OF_TRIALS = f"""
SELECT c.thread_id AS document_id, t.status = 'accepted' AS accepted, t.rounds, d.chars, c.role, count(*) AS calls,
    total(coalesce(c.tokens_in, c.charged_in)) AS tokens_in, total(coalesce(c.tokens_out, c.charged_out)) AS tokens_out
FROM {_OF_TRIALS} WHERE {_TRIED}
GROUP BY c.thread_id, c.role, t.evaluation, t.position, t.status, t.rounds, d.chars ORDER BY t.evaluation, t.position,
    c.role
"""  # noqa: S608 - constants alone
_TIMES_OF_TRIALS = f"""
SELECT c.thread_id AS document_id, julianday(c.created_at) * 86400 AS ended, c.latency_s AS seconds
FROM {_OF_TRIALS} WHERE {_TRIED} ORDER BY c.thread_id, c.created_at, c.rowid
"""  # noqa: S608 - constants alone


async def use_by_document(ledger: Reader, *, search: bool = False) -> list[dict[str, Any]]:
    """Return a row for each role of each document that has ended, with calls and tokens.

    In a search a document ends once in each evaluation: `document_id` is then the thread of that evaluation.

    Its columns: document_id, accepted, rounds, chars, role, calls, tokens_in, tokens_out. A call that nobody counted
    the tokens of has the most that it can have taken.
    """
    return await ledger.read(_USE_OF_TRIALS if search else _USE)


async def call_times(ledger: Reader, *, search: bool = False) -> list[dict[str, Any]]:
    """Return (document_id, ended, seconds) of the calls of documents that have ended, in the order of their ends.

    `ended` is in seconds since some day, `seconds` what the call's own request took.
    """
    return await ledger.read(_TIMES_OF_TRIALS if search else _TIMES)


async def documents_by_length(ledger: Reader) -> list[dict[str, Any]]:
    """Return (document_id, status, chars) of every document that has a text, in order."""
    return await ledger.read("SELECT document_id, status, chars FROM documents WHERE chars > 0 ORDER BY rowid")


async def lengths_by_split(ledger: Reader) -> dict[str, list[int]]:
    """Return the lengths in characters of a search's documents, by split."""
    found: dict[str, list[int]] = {}
    for row in await ledger.read(
        "SELECT s.split, d.chars FROM splits s JOIN documents d USING (document_id) ORDER BY s.split, s.position"
    ):
        found.setdefault(row["split"], []).append(row["chars"])
    return found
