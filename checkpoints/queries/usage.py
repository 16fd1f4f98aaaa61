"""What calls took: counts, tokens as the endpoints counted them, US dollars. All are 0 or None without any."""

from __future__ import annotations

from typing import Any

from autodata.checkpoints.ledger import Reader

_BY_ROLE = """
SELECT role, count(*) AS calls, sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out, sum(cost_usd) AS cost_usd
FROM calls {} GROUP BY role ORDER BY role
"""
_CHARGED = """
SELECT role, sum(calls) AS calls, coalesce(sum(charged_in), 0) AS tokens_in,
    coalesce(sum(charged_out), 0) AS tokens_out, sum(charged_usd) AS usd, charged_usd IS NULL AS unpriced
FROM (SELECT role, 1 AS calls, charged_in, charged_out, charged_usd FROM calls
    UNION ALL SELECT role, 0, charged_in, charged_out, charged_usd FROM timeouts)
GROUP BY role, charged_usd IS NULL
"""
_BY_DOCUMENT = """
SELECT document_id, count(*) AS calls, total(tokens_in) + total(tokens_out) AS tokens FROM calls
WHERE document_id IS NOT NULL GROUP BY document_id
"""


async def usage_by_role(ledger: Reader, thread: str | None = None) -> list[dict[str, Any]]:
    """Return (role, calls, tokens_in, tokens_out, cost_usd), of one thread or of all; None for what nobody counted."""
    if thread is None:
        return await ledger.read(_BY_ROLE.format(""))
    return await ledger.read(_BY_ROLE.format("WHERE thread_id = ?"), (thread,))


async def usage_of_all(ledger: Reader) -> dict[str, Any]:
    """Return calls, tokens_in, tokens_out and cost_usd of all calls, cost_usd None where no call has a price.

    And timed_out: requests without a reply in time, which are no calls, and may be billed.
    """
    rows = await ledger.read(
        "SELECT count(*) AS calls, coalesce(sum(tokens_in), 0) AS tokens_in,"
        " coalesce(sum(tokens_out), 0) AS tokens_out, sum(cost_usd) AS cost_usd,"
        " (SELECT count(*) FROM timeouts) AS timed_out FROM calls"
    )
    return rows[0]


async def charged(ledger: Reader) -> list[dict[str, Any]]:
    """Return (role, calls, tokens_in, tokens_out, usd, unpriced): what counts for a budget, time-outs too."""
    return await ledger.read(_CHARGED)


async def usage_by_document(ledger: Reader) -> list[dict[str, Any]]:
    """Return (document_id, calls, tokens)."""
    return await ledger.read(_BY_DOCUMENT)


async def calls_by_document(ledger: Reader, evaluation: str) -> dict[str, int]:
    """Return how many calls an evaluation took, by document."""
    rows = await ledger.read(
        "SELECT document_id, count(*) AS n FROM calls WHERE thread_id >= ? AND thread_id < ? GROUP BY document_id",
        (f"{evaluation}/", f"{evaluation}0"),  # "0" is the character behind "/"
    )
    return {row["document_id"]: row["n"] for row in rows}


async def answered_models(ledger: Reader) -> set[tuple[str, str]]:
    """Return the (role, model) that ever replied."""
    return {(row["role"], row["model"]) for row in await ledger.read("SELECT DISTINCT role, model FROM calls")}
