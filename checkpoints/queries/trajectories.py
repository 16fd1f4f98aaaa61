"""All rounds of a run with what belongs to them, read in a few questions however many documents there are."""

from __future__ import annotations

from typing import Any

from autodata.checkpoints.ledger import Reader

_DOCUMENTS = """
SELECT document_id, name, title, status, status_reason, note, chars, text FROM documents
WHERE status != 'dropped' ORDER BY rowid
"""
_ROUNDS = """
SELECT r.round_id, r.document_id, r.n, r.outcome, r.failure_mode, r.reason, r.feedback, r.passage, r.weak_mean,
  r.strong_mean, r.gap, r.prompt_version, r.lessons, r.quality, r.judgement, c.candidate
FROM rounds r LEFT JOIN candidates c USING (candidate_id) ORDER BY r.document_id, r.n, r.rowid
"""
_ATTEMPTS = """
SELECT attempt_id, round_id, stage, idx, answer, score_value, decided_by, model, truncated, answered
FROM attempts ORDER BY round_id, stage = 'strong', idx
"""
_MARKS = "SELECT attempt_id, text, weight, met, reason FROM marks ORDER BY attempt_id, criterion"
_VERDICTS = """
SELECT round_id, stage, preset, decision, failure_mode, checks, summary FROM verdicts
ORDER BY round_id, stage = 'confirm', stage = 'strong'
"""
_LABELS = "SELECT round_id, verdict, why, decision, reason, reviewer FROM labels ORDER BY rowid"
_FAILURES = "SELECT document_id, kind, message FROM failures ORDER BY created_at, rowid"


async def all_documents(ledger: Reader) -> list[dict[str, Any]]:
    """Return (document_id, name, title, status, status_reason, note, chars, text), in order, of those not dropped."""
    return await ledger.read(_DOCUMENTS)


async def all_rounds(ledger: Reader) -> list[dict[str, Any]]:
    """Return every round, document by document; its `candidate` and what was found of it are JSON texts."""
    return await ledger.read(_ROUNDS)


async def all_attempts(ledger: Reader) -> list[dict[str, Any]]:
    """Return every attempt, the weak solver's first within a round; `score_value` is in 0..1, None without a mark."""
    return await ledger.read(_ATTEMPTS)


async def all_marks(ledger: Reader) -> list[dict[str, Any]]:
    """Return (attempt_id, text, weight, met, reason) of every mark, criterion by criterion."""
    return await ledger.read(_MARKS)


async def all_verdicts(ledger: Reader) -> list[dict[str, Any]]:
    """Return every verdict, the weak stage's first within a round; `checks` is a JSON text."""
    return await ledger.read(_VERDICTS)


async def all_labels(ledger: Reader) -> list[dict[str, Any]]:
    """Return what people were asked of rounds, and said: `decision` is None until they have."""
    return await ledger.read(_LABELS)


async def all_failures(ledger: Reader) -> list[dict[str, Any]]:
    """Return (document_id, kind, message) of what errored documents, in order."""
    return await ledger.read(_FAILURES)
