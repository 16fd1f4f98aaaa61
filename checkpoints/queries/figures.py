"""The numbers that reports and comparisons are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.usage import BY_ROLE

# One statement, so that a run that goes on cannot change the numbers between one and the next.
_NUMBERS = f"""
WITH kept AS (SELECT e.*, e.rowid AS place FROM examples e JOIN documents d USING (document_id)
    WHERE d.status != 'dropped')
SELECT
    (SELECT count(*) FROM documents WHERE status != 'dropped') AS documents,
    (SELECT coalesce(json_group_object(status, n), '{{}}') FROM
        (SELECT status, count(*) AS n FROM documents GROUP BY status) AS by_status) AS statuses,
    (SELECT count(*) FROM rounds WHERE outcome IN ('accepted', 'rejected')) AS rounds,
    (SELECT coalesce(json_group_array(json_object('role', role, 'calls', calls, 'tokens_in', tokens_in,
        'tokens_out', tokens_out, 'tokens_cached', tokens_cached, 'tokens_reasoning', tokens_reasoning,
        'cache_known_in', cache_known_in, 'cost_usd', cost_usd, 'timed_out', timed_out, 'cancelled', cancelled)), '[]')
        FROM ({BY_ROLE.format("")}) AS by_role) AS usage,
    (SELECT count(*) FROM attempts WHERE truncated = 1) AS truncated,
    (SELECT coalesce(json_group_object(failure_mode, n), '{{}}') FROM
        (SELECT failure_mode, count(*) AS n FROM rounds
         WHERE outcome != 'open' AND failure_mode IS NOT NULL GROUP BY failure_mode) AS by_mode) AS failure_modes,
    (SELECT count(*) FROM labels JOIN documents USING (document_id)
        WHERE decision IS NULL AND replaced_by = '') AS awaiting_review,
    (SELECT coalesce(json_group_object(decision, n), '{{}}') FROM
        (SELECT decision, count(*) AS n FROM labels WHERE decision IS NOT NULL GROUP BY decision)
        AS by_decision) AS labels,
    (SELECT avg(weak_mean) FROM kept) AS weak_mean,
    (SELECT avg(strong_mean) FROM kept) AS strong_mean,
    (SELECT avg(gap) FROM kept) AS gap_mean,
    (SELECT avg(rounds) FROM documents WHERE status = 'accepted') AS rounds_per_accepted,
    (SELECT coalesce(json_group_array(json_object('question', question, 'documents', json(names))), '[]') FROM
        (SELECT min(c.question) AS question, json_group_array(d.name) AS names
         FROM kept e JOIN documents d ON d.document_id = e.document_id
             JOIN rounds r ON r.round_id = e.round_id JOIN candidates c ON c.candidate_id = r.candidate_id
         GROUP BY coalesce(e.question_key, lower(trim(c.question)))
         HAVING count(DISTINCT e.document_id) > 1 ORDER BY min(e.place)) AS shared) AS shared_questions
"""  # noqa: S608 - of texts of this package
_OUTCOMES = """
SELECT d.document_id, d.status, e.weak_mean, e.strong_mean, e.gap, e.rounds, e.example IS NOT NULL AS accepted,
    length(c.question) AS question_chars, json_array_length(c.candidate, '$.rubric') AS rubric_items,
    json_extract(e.example, '$.judgement.grpo_suitability') AS suitability,
    json_extract(e.example, '$.domain') AS domain
FROM documents d LEFT JOIN examples e USING (document_id) LEFT JOIN rounds r ON r.round_id = e.round_id
    LEFT JOIN candidates c ON c.candidate_id = r.candidate_id
WHERE d.document_id NOT LIKE 'skipped-%' AND d.status != 'dropped' ORDER BY d.rowid
"""
_WEAK_SCORES = """
SELECT e.document_id, a.score_value FROM examples e JOIN attempts a USING (round_id)
JOIN documents d USING (document_id)
WHERE d.status != 'dropped' AND a.stage = 'weak' AND e.weak_mean IS NOT NULL AND a.score_value IS NOT NULL
ORDER BY e.rowid, a.rowid
"""
_FAILED = """
SELECT document_id, failure_mode, count(*) AS n FROM rounds
WHERE outcome != 'open' AND failure_mode IS NOT NULL GROUP BY document_id, failure_mode
ORDER BY document_id, failure_mode
"""
_CLOSED = """
SELECT n, count(*) AS closed, count(*) FILTER (WHERE failure_mode = ?) AS failed FROM rounds
WHERE outcome IN ('accepted', 'rejected')
GROUP BY n ORDER BY n
"""
_CUT = """
SELECT a.stage, r.n, a.truncated, count(*) AS attempts, count(a.score_value) AS marked, total(a.score_value) AS score
FROM attempts a JOIN rounds r USING (round_id) GROUP BY a.stage, r.n, a.truncated ORDER BY r.n, a.stage, a.truncated
"""
_QUESTIONS = """
SELECT e.example_id, e.document_id, e.tied, c.question FROM examples e
JOIN rounds r USING (round_id) JOIN candidates c USING (candidate_id)
JOIN documents d ON d.document_id = e.document_id WHERE d.status != 'dropped' ORDER BY e.rowid
"""


async def numbers(ledger: Reader) -> dict[str, Any]:
    """Return the numbers of a run so far; those by status, failure mode and decision as JSON objects.

    And `usage`, as JSON a list of what `queries.usage.usage_by_role` returns.
    """
    (row,) = await ledger.read(_NUMBERS)
    return row


async def outcomes(ledger: Reader) -> list[dict[str, Any]]:
    """Return every usable document with what became of it: its status, and the figures of its example."""
    return await ledger.read(_OUTCOMES)


async def weak_scores(ledger: Reader) -> list[dict[str, Any]]:
    """Return (document_id, score_value) of the weak attempts at accepted examples."""
    return await ledger.read(_WEAK_SCORES)


async def failures_by_document(ledger: Reader) -> list[dict[str, Any]]:
    """Return (document_id, failure_mode, n) of closed rounds."""
    return await ledger.read(_FAILED)


async def failed_by_round(ledger: Reader, failure_mode: str) -> list[dict[str, Any]]:
    """Return (n, closed, failed) by number of round; `failed` counts those of a failure mode."""
    return await ledger.read(_CLOSED, (failure_mode,))


async def reasons(ledger: Reader, one: str, other: str) -> list[dict[str, Any]]:
    """Return (failure_mode, reason) of the rounds that ended in one of two failure modes."""
    return await ledger.read(
        "SELECT failure_mode, reason FROM rounds WHERE failure_mode IN (?, ?) ORDER BY rowid", (one, other)
    )


async def truncation(ledger: Reader) -> list[dict[str, Any]]:
    """Return (stage, n, truncated, attempts, marked, score): attempts that were cut off, and those that were not."""
    return await ledger.read(_CUT)


async def attempts_by_length(ledger: Reader, bands: Sequence[int]) -> list[dict[str, Any]]:
    """Return (stage, band, attempts, marked, score); `band` counts the bounds in characters that an answer reaches."""
    band = " + ".join(f"CASE WHEN chars >= {int(bound)} THEN 1 ELSE 0 END" for bound in bands)
    return await ledger.read(
        f"SELECT stage, {band} AS band, count(*) AS attempts, count(score_value) AS marked,"  # noqa: S608 - whole numbers
        " total(score_value) AS score FROM attempts GROUP BY stage, band ORDER BY band, stage"
    )


async def accepted_questions(ledger: Reader) -> list[dict[str, Any]]:
    """Return (example_id, document_id, tied, question) of accepted examples."""
    return await ledger.read(_QUESTIONS)
