"""Who works on a run, and under which lease.

A worker says now and then that it is alive. One that has not said so for the length of its lease is taken for dead: its
lease is ended, and only then do its documents go back into the queue. A worker that only hung finds its lease ended at
its next write: `autodata.require_lease` refuses it within the very transaction, in the ledger and in the checkpoints.
A transaction that it hung in is cut off.
What it had reserved counts as spent: by the journal, where the reply stands in it; else as the most that it can have
been, for its endpoint may bill it, and then it stands in the ledger as a request without a reply.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from autodata.checkpoints.workers.database import Connection, Database

LEASE_SECONDS = 60.0
"""How long a worker may be silent before its documents are given to others."""

_REGISTERED = """
INSERT INTO autodata.workers (worker, run, host, session, lease)
VALUES (%(worker)s, %(run)s, %(host)s, %(session)s, %(lease)s) ON CONFLICT DO NOTHING
"""
_ALIVE = """
WITH mine AS (
    UPDATE autodata.workers SET heartbeat = now() WHERE worker = %(worker)s AND state = 'working' RETURNING worker
)
UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id IN (SELECT worker FROM mine) RETURNING id
"""
_CUT_OFF = """
SELECT autodata.cut_off(worker) FROM autodata.workers
WHERE run = %(run)s AND state = 'working' AND heartbeat < now() - lease * interval '1 second'
"""
_SILENT = """
UPDATE autodata.workers SET state = 'lost', reason = 'it was silent for longer than its lease'
WHERE worker IN (SELECT worker FROM autodata.workers WHERE run = %(run)s AND state = 'working'
    AND heartbeat < now() - lease * interval '1 second' FOR UPDATE SKIP LOCKED) RETURNING worker
"""
"""A row that is still locked is left to the next look: who waited for it would be silent meanwhile itself."""
_UNHELD = """
WITH gone AS (DELETE FROM autodata.reservations WHERE worker = ANY(%(workers)s) RETURNING *),
found AS (
    SELECT g.*, c.key IS NOT NULL AS paid, coalesce(c.charged_in, g.tokens_in) + coalesce(c.charged_out, g.tokens_out)
        AS took, coalesce(c.charged_usd::numeric, g.usd, 0) AS cost
    FROM gone g LEFT JOIN {calls} c ON c.key = g.call_key
),
spent AS (
    SELECT run, count(*) AS n, sum(tokens_in + tokens_out) AS tokens, sum(coalesce(usd, 0)) AS usd,
        count(*) FILTER (WHERE paid) AS paid, sum(took) AS took, sum(cost) AS cost FROM found GROUP BY run
),
counted AS (
    UPDATE autodata.runs r SET held_calls = held_calls - n, held_tokens = held_tokens - s.tokens,
        held_usd = held_usd - s.usd, calls = r.calls + s.paid, tokens = r.tokens + s.took, usd = r.usd + s.cost
    FROM spent s WHERE r.run = s.run
)
INSERT INTO {timeouts} (timeout_id, call_key, document_id, thread_id, role, model, cause, charged_in, charged_out,
    charged_usd, created_at)
SELECT id, call_key, document_id, thread_id, role, model, 'cancelled', tokens_in, tokens_out, usd::float8,
    to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"+00:00"') FROM found WHERE NOT paid
ON CONFLICT DO NOTHING
"""
_RETURNED = """
UPDATE procrastinate_jobs SET status = 'todo', attempts = attempts + 1, worker_id = NULL, scheduled_at = NULL
WHERE queue_name = %(queue)s AND status = 'doing' AND (worker_id IS NULL OR worker_id IN (
    SELECT worker FROM autodata.workers WHERE run = %(run)s AND state != 'working')) RETURNING id
"""
_LEFT = """
UPDATE autodata.workers SET state = 'left', reason = %(reason)s WHERE worker = %(worker)s AND state = 'working'
"""
_FORGOTTEN = "DELETE FROM procrastinate_workers WHERE id = ANY(%(workers)s)"
_NO_SLOTS = "DELETE FROM autodata.slots WHERE worker = ANY(%(workers)s)"
_PRESENT = """
SELECT count(*) FILTER (WHERE state = 'working' AND heartbeat >= now() - lease * interval '1 second') AS alive,
    count(*) FILTER (WHERE state = 'lost') AS lost,
    coalesce(max(reason) FILTER (WHERE state = 'left' AND reason != ''), '') AS reason
FROM autodata.workers WHERE run = %(run)s AND session = %(session)s
"""


def queue_of(run: str) -> str:
    """Return the name of a run's queue."""
    return f"autodata/{run}"


@dataclass(frozen=True)
class Present:
    """Who works on a run in its present session."""

    alive: int
    lost: int
    """Workers that fell silent."""
    reason: str
    """Why one of those that left did so, where that was a failure."""


async def register(database: Database, run: str, host: str, session: int, lease: float) -> int:
    """Begin a lease; return the worker's number, which is procrastinate's too."""
    database.cut_after = min(database.cut_after, lease / 3)
    worker: int = await database.insist(database.app.job_manager.register_worker)
    values = {"worker": worker, "run": run, "host": host, "session": session, "lease": lease}
    await database.rows(_REGISTERED, values)
    return worker


async def say_alive(database: Database, worker: int) -> bool:
    """Renew a lease; False where it was ended."""
    return bool(await database.rows(_ALIVE, {"worker": worker}))


async def end_silent(database: Database, run: str, schema: str) -> int:
    """End the leases of a run's silent workers and put their documents back into the queue; return how many.

    What they have under way in the database is cut off. `schema` is that of the run's ledger.
    """

    async def work(connection: Connection) -> int:
        await connection.execute(_CUT_OFF, {"run": run})
        cursor = await connection.execute(_SILENT, {"run": run})
        silent = [row["worker"] for row in await cursor.fetchall()]
        if silent:
            await _let_go(connection, silent, schema)
        cursor = await connection.execute(_RETURNED, {"run": run, "queue": queue_of(run)})
        returned = len(await cursor.fetchall())
        if silent:
            await connection.execute(_FORGOTTEN, {"workers": silent})
        return returned

    return await database.transaction(work)


async def leave(database: Database, worker: int, run: str, schema: str, reason: str = "") -> None:
    """End one's own lease and give back whatever is still held. `reason`: of a failure, for whoever watches."""

    async def work(connection: Connection) -> None:
        await connection.execute(_LEFT, {"worker": worker, "reason": reason})
        await _let_go(connection, [worker], schema)
        await connection.execute(_RETURNED, {"run": run, "queue": queue_of(run)})
        await connection.execute(_FORGOTTEN, {"workers": [worker]})

    await database.transaction(work)


async def present(database: Database, run: str, session: int) -> Present:
    """Return who works on a run."""
    [row] = await database.rows(_PRESENT, {"run": run, "session": session})
    return Present(row["alive"], row["lost"], row["reason"])


async def _let_go(connection: Connection, workers: list[int], schema: str) -> None:
    statement = sql.SQL(_UNHELD).format(
        timeouts=sql.Identifier(schema, "timeouts"), calls=sql.Identifier(schema, "calls")
    )
    await connection.execute(statement, {"workers": workers})
    await connection.execute(_NO_SLOTS, {"workers": workers})
