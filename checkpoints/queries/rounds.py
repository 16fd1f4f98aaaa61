"""Rounds and what belongs to them: attempts, marks, verdicts, questions to people, forks, failures, spans."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from autodata.checkpoints.ledger import Reader

_WITH_CANDIDATE = "SELECT r.*, c.kind, c.candidate FROM rounds r LEFT JOIN candidates c USING (candidate_id)"
_SPANS = """
select s.*, c.latency_s, c.created_at as replied, c.response is not null as journalled, c.finish_reason
from spans s left join calls c on c.key = s.call_key where s.thread_id = ? order by s.started, s.rowid
"""
_SCORES = """
select r.n, a.stage, a.idx, a.score_value from attempts a join rounds r using (round_id) where r.thread_id = ?
order by r.rowid, a.rowid
"""
_OPEN_LABELS = """
SELECT l.*, d.name FROM labels l JOIN documents d USING (document_id) WHERE l.decision IS NULL AND d.replaced_by = ''
ORDER BY d.rowid, l.rowid
"""
_OF_ROUNDS: Mapping[str, str] = {
    "attempts": "SELECT * FROM attempts WHERE round_id IN (SELECT value FROM json_each(?)) ORDER BY rowid",
    "verdicts": "SELECT * FROM verdicts WHERE round_id IN (SELECT value FROM json_each(?)) ORDER BY rowid",
}
_BEFORE: Mapping[str, str] = {
    "candidates": "SELECT * FROM candidates WHERE candidate_id IN"
    " (SELECT candidate_id FROM rounds WHERE thread_id = :thread AND n < :before)",
    "rounds": "SELECT * FROM rounds WHERE thread_id = :thread AND n < :before ORDER BY rowid",
    **{
        table: f"SELECT t.* FROM {table} t JOIN rounds r USING (round_id)"  # noqa: S608 - names of this module
        " WHERE r.thread_id = :thread AND r.n < :before ORDER BY t.rowid"
        for table in ("attempts", "verdicts", "labels")
    },
    "marks": "SELECT m.* FROM marks m JOIN attempts a USING (attempt_id) JOIN rounds r USING (round_id)"
    " WHERE r.thread_id = :thread AND r.n < :before ORDER BY m.attempt_id, m.criterion",
    "calls": "SELECT * FROM calls WHERE thread_id = :thread AND n <= :n ORDER BY rowid",
}


async def rounds_of_document(ledger: Reader, document_id: str) -> list[dict[str, Any]]:
    """Return a document's rounds, each with its `candidate`."""
    return await _rounds(ledger, "WHERE r.document_id = ? ORDER BY r.n, r.rowid", document_id)


async def round_of(ledger: Reader, round_id: str) -> dict[str, Any] | None:
    """Return a round with its `candidate`, None for an unknown one."""
    rows = await _rounds(ledger, "WHERE r.round_id = ?", round_id)
    return rows[0] if rows else None


async def rejected_rounds(ledger: Reader, thread: str) -> list[dict[str, Any]]:
    """Return a thread's rejected rounds, in order."""
    return await _rounds(ledger, "WHERE r.thread_id = ? AND r.outcome = 'rejected' ORDER BY r.n, r.rowid", thread)


async def accepted_rounds(ledger: Reader, thread: str) -> list[dict[str, Any]]:
    """Return a thread's accepted rounds: one at most, but for what people edited."""
    return await _rounds(ledger, "WHERE r.thread_id = ? AND r.outcome = 'accepted' ORDER BY r.n", thread)


async def rounds_by_id(ledger: Reader, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return some rounds in order of their numbers, each with its `candidate` and the candidate's `kind`."""
    chosen = "WHERE r.round_id IN (SELECT value FROM json_each(?)) ORDER BY r.n, r.rowid"
    return await _rounds(ledger, chosen, json.dumps(list(ids)), kind=True)


async def latest_round(ledger: Reader, thread: str, n: int) -> dict[str, Any] | None:
    """Return the row of a thread's round `n` that counts: the last that no person's edit replaced."""
    rows = await ledger.read(
        "SELECT * FROM rounds WHERE thread_id = ? AND n = ? AND outcome != 'edited' ORDER BY rowid DESC", (thread, n)
    )
    return rows[0] if rows else None


async def round_numbers(ledger: Reader, thread: str) -> list[int]:
    """Return the numbers of a thread's rounds."""
    rows = await ledger.read("SELECT DISTINCT n FROM rounds WHERE thread_id = ? ORDER BY n", (thread,))
    return [row["n"] for row in rows]


async def means_of_rounds(ledger: Reader, thread: str) -> list[dict[str, Any]]:
    """Return (n, weak_mean, strong_mean, gap) of a thread's rounds."""
    return await ledger.read(
        "SELECT n, weak_mean, strong_mean, gap FROM rounds WHERE thread_id = ? ORDER BY rowid", (thread,)
    )


async def attempts_of_round(ledger: Reader, round_id: str) -> list[dict[str, Any]]:
    """Return a round's attempts, those of the weak solver first."""
    return await ledger.read("SELECT * FROM attempts WHERE round_id = ? ORDER BY stage = 'strong', idx", (round_id,))


async def marks_of_round(ledger: Reader, round_id: str) -> list[dict[str, Any]]:
    """Return the marks of a round's attempts, criterion by criterion."""
    return await ledger.read(
        "SELECT m.* FROM marks m JOIN attempts a USING (attempt_id) WHERE a.round_id = ?"
        " ORDER BY m.attempt_id, m.criterion",
        (round_id,),
    )


async def marks_of_attempt(ledger: Reader, attempt_id: str) -> list[dict[str, Any]]:
    """Return (criterion, weight, met, reason) of an attempt's marks; `criterion` is its text."""
    return await ledger.read(
        "SELECT text AS criterion, weight, met, reason FROM marks WHERE attempt_id = ? ORDER BY criterion",
        (attempt_id,),
    )


async def marks_of_examples(ledger: Reader) -> list[dict[str, Any]]:
    """Return (example_id, criterion, weight, stage, met) of the marks behind the accepted examples that count."""
    return await ledger.read(
        "SELECT e.example_id, m.text AS criterion, m.weight, a.stage, m.met FROM examples e"
        " JOIN documents d USING (document_id) JOIN attempts a USING (round_id) JOIN marks m USING (attempt_id)"
        " WHERE d.status != 'dropped' ORDER BY e.rowid, a.rowid, m.criterion"
    )


async def verdicts_of_round(ledger: Reader, round_id: str) -> list[dict[str, Any]]:
    """Return a round's verdicts, the weak stage's first, one over fresh attempts last."""
    return await ledger.read(
        "SELECT * FROM verdicts WHERE round_id = ? ORDER BY stage = 'confirm', stage = 'strong'", (round_id,)
    )


async def labels_of_round(ledger: Reader, round_id: str) -> list[dict[str, Any]]:
    """Return what people were asked about a round, and said."""
    return await ledger.read("SELECT * FROM labels WHERE round_id = ? ORDER BY rowid", (round_id,))


async def label_of(ledger: Reader, label_id: str) -> dict[str, Any] | None:
    """Return one question to a person with its answer, None for an unknown one."""
    rows = await ledger.read("SELECT * FROM labels WHERE label_id = ?", (label_id,))
    return rows[0] if rows else None


async def open_labels(ledger: Reader) -> list[dict[str, Any]]:
    """Return the questions to people without an answer, each with the document's name."""
    return await ledger.read(_OPEN_LABELS)


async def parts_of_rounds(ledger: Reader, table: str, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of `attempts` or `verdicts` that belong to some rounds."""
    if table not in _OF_ROUNDS:
        raise ValueError(f"{table}: only attempts and verdicts belong to rounds so")
    return await ledger.read(_OF_ROUNDS[table], (json.dumps(list(ids)),))


async def failures_of_document(ledger: Reader, document_id: str) -> list[dict[str, Any]]:
    """Return (epoch, kind, message, created_at) of what errored a document."""
    return await ledger.read(
        "SELECT epoch, kind, message, created_at FROM failures WHERE document_id = ? ORDER BY created_at, rowid",
        (document_id,),
    )


async def forks_of_document(ledger: Reader, document_id: str) -> list[dict[str, Any]]:
    """Return a document's forks, in the order in which they were made."""
    return await ledger.read("SELECT * FROM forks WHERE document_id = ? ORDER BY rowid", (document_id,))


async def spans_of_thread(ledger: Reader, thread: str) -> list[dict[str, Any]]:
    """Return a thread's spans, each call's with what the journal holds of it."""
    return await ledger.read(_SPANS, (thread,))


async def scores_of_thread(ledger: Reader, thread: str) -> list[dict[str, Any]]:
    """Return (n, stage, idx, score_value) of a thread's attempts."""
    return await ledger.read(_SCORES, (thread,))


async def before_round(ledger: Reader, thread: str, before: int, n: int) -> dict[str, list[dict[str, Any]]]:
    """Return what a fork begins with, by table: the rounds before round `before`, and every reply up to round `n`."""
    values = {"thread": thread, "before": before, "n": n}
    return {table: await ledger.read(sql, values) for table, sql in _BEFORE.items()}


async def _rounds(ledger: Reader, chosen: str, *values: str, kind: bool = False) -> list[dict[str, Any]]:
    rows = await ledger.read(f"{_WITH_CANDIDATE} {chosen}", values)
    return rows if kind else [{name: value for name, value in row.items() if name != "kind"} for row in rows]
