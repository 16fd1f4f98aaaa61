"""The outer loop as the ledger holds it: batches, lessons, and what a batch's figures and sample are made of."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.lessons import Batch, Lesson

_JSON_OF_BATCH = ("documents", "lessons", "steer", "figures")
_OF = "document_id IN (SELECT value FROM json_each(?))"
_ASKED = """
SELECT json_extract(c.candidate, '$.skills') AS skills, json_extract(c.candidate, '$.question_type') AS question_type,
    json_extract(c.candidate, '$.target_capabilities') AS capabilities
FROM examples e JOIN rounds r USING (round_id) JOIN candidates c USING (candidate_id)
JOIN documents d ON d.document_id = e.document_id WHERE d.status != 'dropped' ORDER BY e.rowid
"""
_CLOSED = f"""
SELECT r.round_id, r.document_id, r.n, r.outcome, r.failure_mode, r.reason, r.weak_mean, r.strong_mean, r.gap,
    c.candidate FROM rounds r LEFT JOIN candidates c USING (candidate_id)
WHERE r.outcome IN ('accepted', 'rejected') AND r.thread_id LIKE 'main/%' AND r.{_OF} ORDER BY r.rowid
"""  # noqa: S608 - of a text above
_QUESTIONS = """
SELECT e.rowid AS place, e.document_id, d.name, c.question FROM examples e JOIN rounds r USING (round_id)
JOIN candidates c USING (candidate_id) JOIN documents d ON d.document_id = e.document_id
WHERE d.status != 'dropped' AND e.rowid > ? ORDER BY e.rowid
"""


async def batches(ledger: Reader) -> list[Batch]:
    """Return the batches of a run in order; none of a run without lessons."""
    names = ", ".join(name for name in Batch.model_fields)
    rows = await ledger.read(f"SELECT {names} FROM batches ORDER BY batch")  # noqa: S608 - names of this package
    return [Batch.model_validate({**row, **{name: json.loads(row[name]) for name in _JSON_OF_BATCH}}) for row in rows]


async def lesson_versions(ledger: Reader) -> list[Lesson]:
    """Return every version of every lesson, in the order in which they were written."""
    names = ", ".join(name for name in Lesson.model_fields)
    rows = await ledger.read(f"SELECT {names} FROM lessons ORDER BY rowid")  # noqa: S608 - names of this package
    return [
        Lesson.model_validate({**row, **{name: json.loads(row[name]) for name in ("evidence", "figures")}})
        for row in rows
    ]


def latest(versions: Sequence[Lesson]) -> list[Lesson]:
    """Return the latest version of each lesson, in the order of their ids."""
    found: dict[str, Lesson] = {}
    for lesson in versions:
        if lesson.lesson_id not in found or lesson.version > found[lesson.lesson_id].version:
            found[lesson.lesson_id] = lesson
    return sorted(found.values(), key=lambda lesson: lesson.number)


async def asked_in_examples(ledger: Reader) -> list[tuple[list[str], str]]:
    """Return the skills and the type of question of each accepted example, in the order of acceptance.

    Either is empty in a domain that has none.
    """
    return [
        (json.loads(row["skills"] or row["capabilities"] or "[]"), row["question_type"] or "")
        for row in await ledger.read(_ASKED)
    ]


async def closed_rounds_of(ledger: Reader, documents: Collection[str]) -> list[dict[str, Any]]:
    """Return the rounds of some documents that have ended, in the order in which they began; `candidate` is JSON."""
    return await ledger.read(_CLOSED, (json.dumps([*documents]),))


async def count_calls_of(ledger: Reader, documents: Collection[str]) -> int:
    """Return how many model calls some documents took."""
    rows = await ledger.read(f"SELECT count(*) AS n FROM calls WHERE {_OF}", (json.dumps([*documents]),))  # noqa: S608 - of a text above
    return int(rows[0]["n"])


async def openings(ledger: Reader, documents: Collection[str], chars: int) -> dict[str, str]:
    """Return the first characters of some documents, by id."""
    rows = await ledger.read(
        f"SELECT document_id, substr(text, 1, ?) AS text FROM documents WHERE {_OF}",  # noqa: S608 - of a text above
        (chars, json.dumps([*documents])),
    )
    return {row["document_id"]: row["text"] for row in rows}


async def names_of(ledger: Reader, documents: Collection[str]) -> dict[str, str]:
    """Return the names of some documents, by id."""
    rows = await ledger.read(f"SELECT document_id, name FROM documents WHERE {_OF}", (json.dumps([*documents]),))  # noqa: S608 - of a text above
    return {row["document_id"]: row["name"] for row in rows}


async def accepted_questions(ledger: Reader, after: int = 0) -> list[dict[str, Any]]:
    """Return (place, document_id, name, question) of the accepted examples behind a place, in their order."""
    return await ledger.read(_QUESTIONS, (after,))
