"""A run as its workers see it: whether it goes on, who may serve it, and what bounds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autodata.checkpoints.workers.database import Database

_BEGUN = """
INSERT INTO autodata.runs AS r (run, version, session, ends, concurrency, target, max_calls, max_tokens, max_usd,
    max_seconds, calls, tokens, usd)
VALUES (%(run)s, %(version)s, 1, now() + %(max_seconds)s * interval '1 second', %(concurrency)s, %(target)s,
    %(max_calls)s, %(max_tokens)s, %(max_usd)s::numeric, %(max_seconds)s, %(calls)s, %(tokens)s, %(usd)s::numeric)
ON CONFLICT (run) DO UPDATE SET version = excluded.version, state = 'open', reason = '', failed = false,
    session = r.session + 1, begun = now(), ends = excluded.ends, concurrency = excluded.concurrency,
    target = excluded.target, max_calls = excluded.max_calls, max_tokens = excluded.max_tokens,
    max_usd = excluded.max_usd, max_seconds = excluded.max_seconds,
    calls = CASE WHEN {0} THEN r.calls ELSE excluded.calls END,
    tokens = CASE WHEN {0} THEN r.tokens ELSE excluded.tokens END,
    usd = CASE WHEN {0} THEN r.usd ELSE excluded.usd END
RETURNING *, extract(epoch from begun)::float8 AS since
""".format("EXISTS (SELECT 1 FROM autodata.workers w WHERE w.run = r.run AND w.state = 'working')")
"""What was spent is counted anew from the journal, unless workers are at it: then their count is ahead of it."""

_STOPPED = """
UPDATE autodata.runs SET state = 'stopped', reason = %(reason)s, failed = %(failed)s
WHERE run = %(run)s AND state = 'open'
"""
_ENDED = "UPDATE autodata.runs SET state = 'ended' WHERE run = %(run)s"
_STATE = """
SELECT *, extract(epoch from begun)::float8 AS since, ends IS NOT NULL AND ends <= now() AS late FROM autodata.runs
WHERE run = %(run)s
"""
_OPEN = "SELECT run FROM autodata.runs WHERE state = 'open' ORDER BY begun, run"


@dataclass(frozen=True)
class Bounds:
    """What one session of a run may take in all, whoever works on it; None where nothing bounds it."""

    concurrency: int
    """Documents that one worker takes up at once."""
    target: int | None = None
    max_calls: int | None = None
    max_tokens: int | None = None
    max_usd: float | None = None
    max_seconds: float | None = None

    @property
    def reserved(self) -> bool:
        """Whether calls, tokens or money are bounded: only then does each request ask the database first."""
        return not (self.max_calls is None and self.max_tokens is None and self.max_usd is None)


@dataclass(frozen=True)
class RunState:
    """How a run stands, by the database."""

    run: str
    version: str
    """The version of this package that began the session."""
    state: str
    """`open`, `stopped` while workers hand back what they hold, or `ended`."""
    reason: str
    failed: bool
    session: int
    since: float
    """When the session began, in seconds since 1970 by the database's clock."""
    bounds: Bounds

    @property
    def open(self) -> bool:
        """Whether workers take up its documents."""
        return self.state == "open"


@dataclass(frozen=True)
class Spent:
    """What a run's journal holds."""

    calls: int
    tokens: int
    usd: float


async def begin_session(database: Database, run: str, version: str, bounds: Bounds, spent: Spent) -> RunState:
    """Open a run for workers, with the bounds of a new session."""
    values = {"run": run, "version": version, **vars(bounds), **vars(spent)}
    return _state((await database.rows(_BEGUN, values))[0])


async def stop_run(database: Database, run: str, reason: str, *, failed: bool = False) -> None:
    """Let every worker of a run hand back what it holds. The first reason counts."""
    await database.rows(_STOPPED, {"run": run, "reason": reason, "failed": failed})


async def end_run(database: Database, run: str) -> None:
    """Note that nothing is left to be done for a session of a run."""
    await database.rows(_ENDED, {"run": run})


async def state_of(database: Database, run: str) -> RunState | None:
    """Return how a run stands, None for one that was never begun. One whose time is over is stopped."""
    rows = await database.rows(_STATE, {"run": run})
    if rows and rows[0]["late"] and rows[0]["state"] == "open":
        reason = f"the budget --max-seconds {rows[0]['max_seconds']:g} is spent"
        await stop_run(database, run, reason)
        rows = await database.rows(_STATE, {"run": run})
    return _state(rows[0]) if rows else None


async def open_runs(database: Database) -> list[str]:
    """Return the runs that workers may take up, the one that was begun first before the others."""
    return [row["run"] for row in await database.rows(_OPEN)]


def _state(row: dict[str, Any]) -> RunState:
    usd = row["max_usd"]
    bounds = Bounds(
        row["concurrency"],
        row["target"],
        row["max_calls"],
        row["max_tokens"],
        None if usd is None else float(usd),
        row["max_seconds"],
    )
    return RunState(
        row["run"],
        row["version"],
        row["state"],
        row["reason"],
        row["failed"],
        row["session"],
        row["since"],
        bounds,
    )
