"""How many requests each worker may have on their way to an endpoint, so that all together stay within its limit.

Each worker is granted a share for as long as its lease holds, and asks anew at every sign of life: no request waits for
the database. Workers that want more than an equal share get what the others leave.
"""

from __future__ import annotations

from autodata.checkpoints.ids import digest
from autodata.checkpoints.workers.database import Connection, Database

_OTHERS = """
SELECT s.granted, s.wanted FROM autodata.slots s JOIN autodata.workers w USING (worker)
WHERE s.endpoint = %(endpoint)s AND s.worker != %(worker)s AND w.state = 'working'
    AND w.heartbeat >= now() - w.lease * interval '1 second'
"""
_GRANTED = """
INSERT INTO autodata.slots (endpoint, worker, granted, wanted)
VALUES (%(endpoint)s, %(worker)s, %(granted)s, %(wanted)s)
ON CONFLICT (endpoint, worker) DO UPDATE SET granted = excluded.granted, wanted = excluded.wanted
"""


async def share_of(database: Database, worker: int, endpoint: str, limit: int, taken: int, wanted: int) -> int:
    """Return how many requests a worker may have at an endpoint at once, of `limit` for all; at least the `taken` ones.

    `wanted` is how many it would send if it might; 0 gives back what is not taken.
    """
    key = digest(endpoint, 32)

    async def work(connection: Connection) -> int:
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"autodata.slots {key}",))
        cursor = await connection.execute(_OTHERS, {"endpoint": key, "worker": worker})
        others = [(row["granted"], row["wanted"]) for row in await cursor.fetchall()]
        granted = fair(limit, taken, wanted, others)
        values = {"endpoint": key, "worker": worker, "granted": granted, "wanted": wanted}
        await connection.execute(_GRANTED, values)
        return granted

    return await database.transaction(work)


def fair(limit: int, taken: int, wanted: int, others: list[tuple[int, int]]) -> int:
    """Return a worker's share of a limit beside others, (granted, wanted) each.

    Never more than they leave: a worker that comes late waits until they have shrunk to their own shares.
    """
    equal = max(1, limit // (len(others) + 1))
    left = limit - sum(min(their_want, equal) for _, their_want in others)
    free = limit - sum(granted for granted, _ in others)
    return max(taken, min(max(equal, left), free, wanted))
