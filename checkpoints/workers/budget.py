"""What a run may still spend, whoever spends it: one row of counters, which each request changes in one statement."""

from __future__ import annotations

from dataclasses import dataclass

from autodata.checkpoints.usage import Usage
from autodata.checkpoints.workers.database import Database

_HELD = """
WITH room AS (
    UPDATE autodata.runs r SET held_calls = held_calls + 1, held_tokens = held_tokens + %(tokens)s,
        held_usd = held_usd + %(usd)s::numeric
    WHERE run = %(run)s AND state = 'open' AND (ends IS NULL OR now() < ends)
        AND (max_calls IS NULL OR calls + held_calls < max_calls)
        AND (max_tokens IS NULL OR tokens + held_tokens + %(tokens)s <= max_tokens)
        AND (max_usd IS NULL OR usd + held_usd + %(usd)s::numeric <= max_usd
            AND (%(usd)s::numeric > 0 OR usd < max_usd))
        AND NOT EXISTS (SELECT 1 FROM autodata.reservations WHERE id = %(id)s)
    RETURNING run
)
INSERT INTO autodata.reservations (id, run, worker, tokens_in, tokens_out, usd, call_key, document_id, thread_id, role,
    model)
SELECT %(id)s, run, %(worker)s, %(tokens_in)s, %(tokens_out)s, %(priced)s::numeric, %(call_key)s, %(document_id)s,
    %(thread_id)s, %(role)s, %(model)s FROM room
"""
_STANDING = """
SELECT EXISTS (SELECT 1 FROM autodata.reservations WHERE id = %(id)s) AS held, state, reason, calls, tokens,
    usd::float8 AS usd, ends IS NOT NULL AND ends <= now() AS late
FROM autodata.runs WHERE run = %(run)s
"""
_SETTLED = """
WITH gone AS (DELETE FROM autodata.reservations WHERE id = %(id)s RETURNING *)
UPDATE autodata.runs r SET held_calls = held_calls - 1, held_tokens = held_tokens - g.tokens_in - g.tokens_out,
    held_usd = held_usd - coalesce(g.usd, 0), calls = calls + %(calls)s, tokens = tokens + %(tokens)s,
    usd = r.usd + %(usd)s::numeric
FROM gone g WHERE r.run = g.run
"""


@dataclass(frozen=True)
class Request:
    """A request that is to be sent, as it stands in the ledger where its worker dies before the reply."""

    id: str
    call_key: str
    document_id: str
    thread_id: str
    role: str
    model: str
    most: Usage
    """The most that it can take."""


@dataclass(frozen=True)
class Standing:
    """Whether a request has its reservation, and what the whole run has spent."""

    held: bool
    stopped: bool
    """Whether the run takes no more requests, whatever is left."""
    calls: int
    tokens: int
    usd: float


async def hold(database: Database, run: str, worker: int, request: Request) -> Standing:
    """Reserve the most that a request can take, where all bounds have room for it beside what others hold."""
    most = request.most
    values = {
        "id": request.id,
        "run": run,
        "worker": worker,
        "tokens_in": most.tokens_in or 0,
        "tokens_out": most.tokens_out or 0,
        "tokens": most.tokens,
        "usd": most.usd or 0.0,
        "priced": most.usd,
        **{name: getattr(request, name) for name in ("call_key", "document_id", "thread_id", "role", "model")},
    }
    await database.rows(_HELD, values)
    [row] = await database.rows(_STANDING, {"id": request.id, "run": run})
    stopped = row["state"] != "open" or row["late"]
    return Standing(row["held"], stopped, row["calls"], row["tokens"], row["usd"])


async def settle(database: Database, request_id: str, used: Usage | None, *, paid: bool) -> None:
    """Give a reservation back and count what its request took: None for nothing; `paid`: a reply came."""
    used = used or Usage()
    values = {"id": request_id, "calls": int(paid), "tokens": used.tokens, "usd": used.usd or 0.0}
    await database.rows(_SETTLED, values)
