"""Documents and accepted examples: where each stands, in the order in which they came."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.records import Example

_WITH_EXAMPLES = """
SELECT d.document_id, d.name, d.title, d.status, d.status_reason, d.note, d.chars, d.rounds, d.epoch, e.example
FROM documents d LEFT JOIN examples e USING (document_id) ORDER BY d.rowid
"""
_ALL = 2**62  # more documents than there are
_COUNT = "SELECT count(*) AS n FROM documents"
_COUNT_OF_STATUS = "SELECT count(*) AS n FROM documents WHERE status IN (SELECT value FROM json_each(?))"
_EXAMPLES = (
    "SELECT e.example FROM examples e JOIN documents d USING (document_id) WHERE d.status != 'dropped' ORDER BY e.rowid"
)
_EXAMPLES_BY_DOCUMENT = (
    "SELECT e.example FROM examples e JOIN documents d USING (document_id)"
    " WHERE d.status != 'dropped' ORDER BY d.rowid, e.rowid"
)

# A solver's own reply, where an attempt is one: its last try in the round's latest epoch. Of several samples, none is.
_ATTEMPTS_OF_EXAMPLES = """
SELECT e.example_id, a.stage, a.idx, a.answer, a.score_value, a.truncated,
  (SELECT c.response FROM calls c WHERE c.thread_id = r.thread_id AND c.n = r.n AND c.node = a.stage || '_solver'
   AND c.idx = CAST(a.idx AS TEXT) ORDER BY c.epoch DESC, c.try DESC LIMIT 1) AS response
FROM examples e JOIN rounds r USING (round_id) JOIN attempts a USING (round_id)
ORDER BY e.rowid, a.stage = 'strong', a.idx
"""
_EXAMPLE_SOURCES = """
SELECT e.example_id, e.example, d.title, d.text, d.note, r.lessons
FROM examples e JOIN documents d USING (document_id) LEFT JOIN rounds r USING (round_id)
WHERE d.status != 'dropped' ORDER BY d.rowid, e.rowid
"""


@dataclass(frozen=True)
class ExampleSource:
    """An accepted example with what stands behind it."""

    example: Example
    title: str = ""
    text: str = ""
    """The document's."""
    attempts: Sequence[Mapping[str, Any]] = ()
    """(stage, idx, answer, score_value, truncated, response), the weak solver's first; `response` is the reply whole,
    None where the attempt is not one reply."""
    note: str = ""
    """What was done to the document's text before use, which says of a part which one it is."""
    lessons: Sequence[str] = ()
    """The versions of lessons that its challenger was shown."""


async def example_sources(ledger: Reader) -> list[ExampleSource]:
    """Return the accepted examples with their documents and attempts, in the order of the documents."""
    attempts: dict[str, list[dict[str, Any]]] = {}
    for row in await ledger.read(_ATTEMPTS_OF_EXAMPLES):
        attempts.setdefault(row["example_id"], []).append(row)
    return [
        ExampleSource(
            Example.model_validate_json(row["example"]),
            row["title"] or "",
            row["text"] or "",
            attempts.get(row["example_id"], []),
            row["note"] or "",
            (row["lessons"] or "").split(),
        )
        for row in await ledger.read(_EXAMPLE_SOURCES)
    ]


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


async def known_sources(ledger: Reader) -> list[dict[str, Any]]:
    """Return (document_id, name, source, status, note, replaced_by) of documents that have a source."""
    return await ledger.read(
        "SELECT document_id, name, source, status, note, replaced_by FROM documents WHERE source != '' ORDER BY rowid"
    )


async def status_before(ledger: Reader, document_id: str) -> str:
    """Return where a document that was set aside stood before: waiting for a person, errored, or pending."""
    rows = await ledger.read(
        "SELECT EXISTS (SELECT 1 FROM labels WHERE document_id = d.document_id AND decision IS NULL) AS asked,"
        " EXISTS (SELECT 1 FROM failures WHERE document_id = d.document_id AND epoch = d.epoch) AS failed"
        " FROM documents d WHERE document_id = ?",
        (document_id,),
    )
    return "waiting" if rows[0]["asked"] else "errored" if rows[0]["failed"] else "pending"


async def count_usable(ledger: Reader) -> int:
    """Return how many documents have a text that can be asked about."""
    rows = await ledger.read("SELECT count(*) AS n FROM documents WHERE chars > 0")
    return int(rows[0]["n"])


async def rows_of_documents(ledger: Reader, wanted: Collection[str]) -> list[dict[str, Any]]:
    """Return the whole rows of some documents."""
    return await ledger.read(
        "SELECT * FROM documents WHERE document_id IN (SELECT value FROM json_each(?)) ORDER BY rowid",
        (json.dumps(list(wanted)),),
    )


async def count_documents(ledger: Reader, *statuses: str) -> int:
    """Return how many documents there are, or how many of these statuses."""
    rows = await ledger.read(_COUNT_OF_STATUS, (json.dumps(statuses),)) if statuses else await ledger.read(_COUNT)
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


async def standing_of(ledger: Reader, document_id: str) -> dict[str, Any] | None:
    """Return (status, epoch) of a document, None for an unknown one."""
    rows = await ledger.read("SELECT status, epoch FROM documents WHERE document_id = ?", (document_id,))
    return rows[0] if rows else None


async def open_documents(ledger: Reader, limit: int | None = None) -> list[dict[str, Any]]:
    """Return (document_id, name, title, status, epoch) of what is left to do, among the first `limit` documents."""
    return await ledger.read(
        "SELECT document_id, name, title, status, epoch FROM documents WHERE status IN ('pending', 'errored')"
        " AND document_id IN"
        " (SELECT document_id FROM documents WHERE chars > 0 AND replaced_by = '' ORDER BY rowid LIMIT ?)"
        " ORDER BY rowid",
        (limit or _ALL,),
    )


async def document_to_take(ledger: Reader, document_id: str) -> dict[str, Any] | None:
    """Return (document_id, name, title, status, epoch, settled, asked) of one, None for an unknown one.

    `asked` is 1 while a person has a question about it to answer.
    """
    rows = await ledger.read(
        "SELECT document_id, name, title, status, epoch, settled, EXISTS (SELECT 1 FROM labels"
        " WHERE document_id = d.document_id AND decision IS NULL) AS asked FROM documents d WHERE document_id = ?",
        (document_id,),
    )
    return rows[0] if rows else None


async def count_examples(ledger: Reader) -> int:
    """Return how many examples were accepted, those that ask the same included."""
    return int((await ledger.read("SELECT count(*) AS n FROM examples"))[0]["n"])


async def errored_lines(ledger: Reader) -> list[str]:
    """Return `NAME: REASON` of every document that is errored."""
    rows = await ledger.read("SELECT name, status_reason FROM documents WHERE status = 'errored' ORDER BY rowid")
    return [f"{row['name']}: {row['status_reason']}" for row in rows]


async def unsettled_documents(ledger: Reader) -> list[dict[str, Any]]:
    """Return (document_id, epoch) of documents whose end is recorded, but perhaps not their thread's."""
    return await ledger.read(
        "SELECT document_id, epoch FROM documents WHERE settled = 0 AND status NOT IN ('pending', 'waiting', 'errored')"
    )


async def settled_documents(ledger: Reader) -> list[dict[str, Any]]:
    """Return (document_id, status) of documents with nothing left to do."""
    return await ledger.read("SELECT document_id, status FROM documents WHERE settled = 1 ORDER BY document_id")


async def trials(ledger: Reader, evaluation: str) -> list[dict[str, Any]]:
    """Return an evaluation's rows of table `trials`, in the order of its documents."""
    return await ledger.read("SELECT * FROM trials WHERE evaluation = ? ORDER BY position", (evaluation,))


async def open_trials(ledger: Reader, evaluation: str) -> list[dict[str, Any]]:
    """Return (document_id, name, title, status, epoch) of what is left to do of an evaluation."""
    return await ledger.read(
        "SELECT t.document_id, d.name, d.title, t.status, t.epoch FROM trials t JOIN documents d USING (document_id)"
        " WHERE t.evaluation = ? AND t.status IN ('pending', 'errored') ORDER BY t.position",
        (evaluation,),
    )


async def unsettled_trials(ledger: Reader, evaluation: str) -> list[dict[str, Any]]:
    """Return (document_id, epoch) of an evaluation's documents whose end is recorded, their thread's perhaps not."""
    return await ledger.read(
        "SELECT document_id, epoch FROM trials"
        " WHERE evaluation = ? AND settled = 0 AND status NOT IN ('pending', 'errored')",
        (evaluation,),
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
    rows = await ledger.read(_EXAMPLES_BY_DOCUMENT if by_document else _EXAMPLES)
    return [row["example"] for row in rows]
