"""What `autodata check` looks at: rows that lead nowhere, and rows that must agree with one another.

Large tables are read in pages, so that a folder of any size is checked in little memory.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.schema import TABLES

PAGE = 500
"""Rows of a page."""

_DOCUMENTS = "SELECT rowid AS at, document_id, name, note, chars, text FROM documents"
_CANDIDATES = "SELECT rowid AS at, candidate_id, question, context, reference_answer, candidate FROM candidates"
_ATTEMPTS = "SELECT rowid AS at, * FROM attempts"
_ROUNDS = (
    "SELECT t.rowid AS at, t.*, c.candidate, c.kind FROM rounds t LEFT JOIN candidates c ON c.candidate_id ="
    " t.candidate_id"
)
_OF_ROUNDS = {
    "attempts": "SELECT * FROM attempts WHERE round_id IN (SELECT value FROM json_each(?))"
    " ORDER BY round_id, stage, idx, attempt_id",
    "verdicts": "SELECT * FROM verdicts WHERE round_id IN (SELECT value FROM json_each(?)) ORDER BY round_id, stage",
    "examples": "SELECT * FROM examples WHERE round_id IN (SELECT value FROM json_each(?)) ORDER BY example_id",
}
_ALSO: Sequence[tuple[str, str, str, str]] = (
    ("rounds", "candidate_id", "candidates", "candidate_id"),
    ("attempts", "candidate_id", "candidates", "candidate_id"),
    ("labels", "candidate_id", "candidates", "candidate_id"),
    ("calls", "document_id", "documents", "document_id"),
    ("timeouts", "document_id", "documents", "document_id"),
    ("packs", "parent", "packs", "pack"),
    ("iterations", "parent", "packs", "pack"),
    ("iterations", "mutant", "packs", "pack"),
)
"""References that no foreign key keeps: table, column, the other table and its column. Empty ones lead nowhere."""
_OF_SEARCH = (("trials", "evaluation", "evaluations", "evaluation"),)
"""The same in a search: of a server's threads table `trials` has rows without evaluations."""

_STANDING = """
SELECT d.document_id, d.name, d.status, d.rounds, d.epoch, d.settled, d.replaced_by, d.chars,
  (SELECT max(n) FROM rounds r WHERE r.document_id = d.document_id) AS latest,
  (SELECT count(*) FROM examples e WHERE e.document_id = d.document_id) AS examples,
  (SELECT count(*) FROM labels l WHERE l.document_id = d.document_id AND l.decision IS NULL) AS asked,
  (SELECT count(*) FROM failures f WHERE f.document_id = d.document_id) AS failures,
  (SELECT count(*) FROM calls c WHERE c.document_id = d.document_id) AS calls
FROM documents d ORDER BY d.rowid
"""
_STANDING_IN_SEARCH = """
SELECT t.evaluation, t.document_id, d.name, t.status, t.rounds, t.epoch, t.settled, e.state,
  (SELECT max(n) FROM rounds r WHERE r.thread_id = t.evaluation || '/' || t.document_id) AS latest,
  (SELECT count(*) FROM examples x JOIN rounds r ON r.round_id = x.round_id
   WHERE r.thread_id = t.evaluation || '/' || t.document_id) AS examples
FROM trials t JOIN documents d ON d.document_id = t.document_id
LEFT JOIN evaluations e ON e.evaluation = t.evaluation ORDER BY t.evaluation, t.position
"""
_EVALUATIONS = """
SELECT e.evaluation, e.state, e.documents, e.passed, e.errored, e.calls,
  (SELECT count(*) FROM trials t WHERE t.evaluation = e.evaluation) AS tried,
  (SELECT count(*) FROM trials t WHERE t.evaluation = e.evaluation AND t.status = 'accepted') AS accepted,
  (SELECT count(*) FROM trials t WHERE t.evaluation = e.evaluation AND t.status = 'errored') AS failed,
  (SELECT coalesce(sum(t.calls), 0) FROM trials t WHERE t.evaluation = e.evaluation) AS called
FROM evaluations e ORDER BY e.rowid
"""
_CALLED_OF_TRIALS = """
SELECT t.evaluation, t.document_id, t.calls,
  (SELECT count(*) FROM calls c WHERE c.thread_id = t.evaluation || '/' || t.document_id) AS journalled
FROM trials t JOIN evaluations e ON e.evaluation = t.evaluation WHERE e.state = 'done' ORDER BY t.evaluation, t.position
"""
_ROUND_ORDER = """
SELECT thread_id, document_id, max(n) AS latest, count(DISTINCT n) AS numbers,
  (SELECT count(*) FROM rounds o WHERE o.thread_id = r.thread_id AND o.outcome = 'open' AND EXISTS
    (SELECT 1 FROM rounds l WHERE l.thread_id = o.thread_id AND l.n > o.n AND l.outcome NOT IN ('open', 'edited'))
  ) AS open_before
FROM rounds r GROUP BY thread_id, document_id HAVING max(n) != count(DISTINCT n) OR EXISTS
  (SELECT 1 FROM rounds o WHERE o.thread_id = r.thread_id AND o.outcome = 'open' AND EXISTS
    (SELECT 1 FROM rounds l WHERE l.thread_id = o.thread_id AND l.n > o.n AND l.outcome NOT IN ('open', 'edited')))
ORDER BY thread_id
"""
_PAID_TWICE = """
SELECT thread_id, document_id, n, node, idx, try, epoch, count(*) AS paid FROM calls
GROUP BY thread_id, document_id, n, node, idx, try, epoch, role, model, params, messages_hash HAVING count(*) > 1
"""
_UNANSWERED_SPANS = """
SELECT s.span_id, s.thread_id, s.document_id, s.name, s.n FROM spans s
WHERE s.call_key IS NOT NULL AND s.status = 'ok' AND s.replayed = 0
AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.key = s.call_key) ORDER BY s.rowid
"""
_UNCALLED_ATTEMPTS = """
SELECT a.attempt_id, r.document_id, r.thread_id FROM attempts a JOIN rounds r ON r.round_id = a.round_id
WHERE NOT EXISTS (SELECT 1 FROM calls c WHERE c.thread_id = r.thread_id AND c.n = r.n
  AND (c.node = a.stage || '_solver' OR c.node LIKE a.stage || '_solver/%')) ORDER BY a.rowid
"""
_CHARGES = """
SELECT key, document_id, role, tokens_in, tokens_out, charged_in, charged_out, cost_usd, charged_usd FROM calls
WHERE charged_in < 0 OR charged_out < 0 OR charged_usd < 0 OR cost_usd < 0 OR latency_s < 0
  OR (tokens_in > 0 AND charged_in != tokens_in) OR (tokens_out > 0 AND charged_out != tokens_out)
  OR (cost_usd IS NOT NULL AND charged_usd IS NOT NULL AND abs(cost_usd - charged_usd) > 1e-9)
"""
_OPEN_BATCHES = "SELECT batch, documents, state FROM batches ORDER BY batch"
_LESSONS = "SELECT lesson_id, version, batch FROM lessons WHERE batch NOT IN (SELECT batch FROM batches)"
_FORKS = "SELECT fork, document_id, folder FROM forks WHERE folder != ''"


async def pages(ledger: Reader, what: str) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield the rows of `documents`, `candidates`, `attempts` or `rounds` as they were written, a page at a time."""
    sql = {"documents": _DOCUMENTS, "candidates": _CANDIDATES, "attempts": _ATTEMPTS, "rounds": _ROUNDS}[what]
    at = "t.rowid" if what == "rounds" else "rowid"
    after = -1
    while rows := await ledger.read(f"{sql} WHERE {at} > ? ORDER BY {at} LIMIT {PAGE}", (after,)):
        yield rows
        after = int(rows[-1]["at"])


async def of_rounds(ledger: Reader, table: str, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the attempts (a stage after the other, in order), verdicts or examples of some rounds."""
    return await ledger.read(_OF_ROUNDS[table], (json.dumps(list(ids)),))


async def marks_of(ledger: Reader, attempts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the marks of some attempts, in the order of their criteria."""
    sql = "SELECT * FROM marks WHERE attempt_id IN (SELECT value FROM json_each(?)) ORDER BY attempt_id, criterion"
    return await ledger.read(sql, (json.dumps(list(attempts)),))


async def leading_nowhere(ledger: Reader, *, search: bool) -> list[dict[str, Any]]:
    """Return (table, at, column, value, other) of rows whose reference has no row at its end; `at` is the row's key."""
    keys = [
        (table, column, other, TABLES[other].pk[0])
        for table, spec in TABLES.items()
        for column, other in spec.foreign.items()
    ]
    found: list[dict[str, Any]] = []
    for table, column, other, key in dict.fromkeys([*keys, *_ALSO, *(_OF_SEARCH if search else ())]):
        pk = " || ' ' || ".join(f"CAST(t.{name} AS TEXT)" for name in TABLES[table].pk)
        rows = await ledger.read(
            f"SELECT {pk} AS at, t.{column} AS value FROM {table} t WHERE t.{column} IS NOT NULL AND t.{column} != ''"  # noqa: S608 - of the schema
            f" AND NOT EXISTS (SELECT 1 FROM {other} o WHERE o.{key} = t.{column})"
        )
        found += [{"table": table, "column": column, "other": other, **row} for row in rows]
    return found


async def standing_of_run(ledger: Reader) -> list[dict[str, Any]]:
    """Return where each document stands, beside its `latest` round and how much there is of it."""
    return await ledger.read(_STANDING)


async def standing_in_search(ledger: Reader) -> list[dict[str, Any]]:
    """Return where each document of each evaluation stands, beside its `latest` round and examples."""
    return await ledger.read(_STANDING_IN_SEARCH)


async def evaluation_sums(ledger: Reader) -> list[dict[str, Any]]:
    """Return what each evaluation says it came to, and what its documents add up to."""
    return await ledger.read(_EVALUATIONS)


async def called_of_trials(ledger: Reader) -> list[dict[str, Any]]:
    """Return (evaluation, document_id, calls, journalled) of the documents of finished evaluations."""
    return await ledger.read(_CALLED_OF_TRIALS)


async def paid_twice(ledger: Reader) -> list[dict[str, Any]]:
    """Return calls of which the journal holds more than one, with how many in `paid`."""
    return await ledger.read(_PAID_TWICE)


async def spans_without_reply(ledger: Reader) -> list[dict[str, Any]]:
    """Return traced calls that ended well, and whose reply the journal does not hold."""
    return await ledger.read(_UNANSWERED_SPANS)


async def attempts_without_call(ledger: Reader) -> list[dict[str, Any]]:
    """Return (attempt_id, document_id, thread_id) of attempts for which the journal holds no call."""
    return await ledger.read(_UNCALLED_ATTEMPTS)


async def wrong_charges(ledger: Reader) -> list[dict[str, Any]]:
    """Return calls that count for other tokens or money than their endpoint reported, or for less than nothing."""
    return await ledger.read(_CHARGES)


async def batches(ledger: Reader) -> list[dict[str, Any]]:
    """Return (batch, documents, state) of the outer loop's batches; `documents` is JSON."""
    return await ledger.read(_OPEN_BATCHES)


async def lessons_of_no_batch(ledger: Reader) -> list[dict[str, Any]]:
    """Return (lesson_id, version, batch) of lessons whose batch is unknown; those of batch 0 came from outside."""
    return [row for row in await ledger.read(_LESSONS) if row["batch"]]


async def is_served(ledger: Reader) -> bool:
    """Whether the folder is that of a server, whose threads each have a standing of their own in table `trials`."""
    return bool(await ledger.read("SELECT 1 AS one FROM trials WHERE evaluation LIKE 'server-%' LIMIT 1"))


async def fork_folders(ledger: Reader) -> list[dict[str, Any]]:
    """Return (fork, document_id, folder) of forks that have a folder."""
    return await ledger.read(_FORKS)


async def rounds_left(ledger: Reader) -> list[dict[str, Any]]:
    """Return (thread_id, document_id, latest, numbers, open_before) of threads whose rounds are not in order.

    `numbers` is how many there are, `open_before` how many are open though a later one is closed. Forks begin in the
    midst, and hold the rounds before as copies.
    """
    return await ledger.read(_ROUND_ORDER)
