"""What calls took: counts, tokens as the endpoints counted them, US dollars. All are 0 or None without any."""

from __future__ import annotations

from typing import Any

from autodata.checkpoints.ledger import Reader

_CALLS = """
    SELECT role, count(*) AS calls, sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out,
        sum(tokens_cached) AS tokens_cached, sum(tokens_reasoning) AS tokens_reasoning,
        sum(CASE WHEN tokens_cached IS NOT NULL THEN tokens_in END) AS cache_known_in, sum(cost_usd) AS cost_usd,
        count(*) FILTER (WHERE cost_usd IS NULL) AS unpriced, 0 AS timed_out, 0 AS cancelled
    FROM calls {0} GROUP BY role
"""
_UNANSWERED = """
    SELECT role, 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, count(*) FILTER (WHERE cause != 'cancelled'),
        count(*) FILTER (WHERE cause = 'cancelled')
    FROM timeouts {0} GROUP BY role
"""
_SUMS = """
    coalesce(sum(calls), 0) AS calls, sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out,
    sum(tokens_cached) AS tokens_cached, sum(tokens_reasoning) AS tokens_reasoning,
    sum(cache_known_in) AS cache_known_in,
    1.0 * sum(tokens_cached) / nullif(sum(cache_known_in), 0) AS cached_share, sum(cost_usd) AS cost_usd,
    coalesce(sum(unpriced), 0) AS unpriced,
    coalesce(sum(timed_out), 0) AS timed_out, coalesce(sum(cancelled), 0) AS cancelled
"""
BY_ROLE = f"SELECT role, {_SUMS} FROM ({_CALLS} UNION ALL {_UNANSWERED}) AS used GROUP BY role ORDER BY role"  # noqa: S608 - of texts above
"""What `usage_by_role` reads; in its braces stands what chooses calls and requests."""
_ALL = f"SELECT {_SUMS} FROM ({_CALLS} UNION ALL {_UNANSWERED}) AS used".format("")  # noqa: S608 - of texts above
_CHARGED = """
SELECT role, sum(calls) AS calls, coalesce(sum(charged_in), 0) AS tokens_in,
    coalesce(sum(charged_out), 0) AS tokens_out, sum(charged_usd) AS usd, charged_usd IS NULL AS unpriced
FROM (SELECT role, 1 AS calls, charged_in, charged_out, charged_usd FROM calls
    UNION ALL SELECT role, 0, charged_in, charged_out, charged_usd FROM timeouts) AS used
GROUP BY role, charged_usd IS NULL ORDER BY role, charged_usd IS NULL
"""
_BY_DOCUMENT = """
SELECT document_id, count(*) AS calls, total(tokens_in) + total(tokens_out) AS tokens FROM calls
WHERE document_id IS NOT NULL GROUP BY document_id ORDER BY document_id
"""


async def prompt_versions(ledger: Reader) -> dict[str, list[str]]:
    """Return the versions of its prompt that each role was asked by."""
    rows = await ledger.read(
        "SELECT DISTINCT role, prompt_version FROM calls WHERE prompt_version != '' ORDER BY role, prompt_version"
    )
    return {role: [row["prompt_version"] for row in rows if row["role"] == role] for role in {r["role"] for r in rows}}


async def usage_by_role(ledger: Reader, thread: str | None = None) -> list[dict[str, Any]]:
    """Return what each role took, of one thread or of all; None for what nobody counted.

    (role, calls, tokens_in, tokens_out, tokens_cached, tokens_reasoning, cache_known_in, cached_share, cost_usd,
    unpriced, timed_out, cancelled): `cache_known_in` are the prompt tokens of the calls whose endpoint reported how
    many were cached, and the share (0..1) is of these; `unpriced` counts calls that `cost_usd` lacks; the last two
    count requests without a reply, which are no calls and may be billed.
    """
    if thread is None:
        return await ledger.read(BY_ROLE.format(""))
    return await ledger.read(BY_ROLE.format("WHERE thread_id = :thread"), {"thread": thread})


async def usage_of_all(ledger: Reader) -> dict[str, Any]:
    """Return what all calls took, as `usage_by_role` has it; tokens in and out are 0 where nobody counted them."""
    [row] = await ledger.read(_ALL)
    return row | {name: row[name] or 0 for name in ("tokens_in", "tokens_out")}


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
