"""A search for better prompts: its packs, splits, evaluations and iterations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from autodata.checkpoints.ledger import Reader

_SCORED = """
SELECT p.pack, p.iteration, e.block, e.passed, e.documents, e.errored FROM packs p LEFT JOIN evaluations e
ON e.pack = p.pack AND e.split = 'validate' AND e.state = 'done' AND e.score IS NOT NULL
WHERE {} ORDER BY p.iteration, p.pack, e.block
"""

_EVALUATED = """
SELECT t.evaluation, e.split, e.iteration, e.pack, d.document_id, d.name, t.status, t.status_reason, t.rounds, t.epoch,
  EXISTS (SELECT 1 FROM spans s WHERE s.thread_id = t.evaluation || '/' || t.document_id) AS traced
FROM trials t JOIN documents d USING (document_id) JOIN evaluations e USING (evaluation)
ORDER BY e.rowid, t.position, t.rowid
"""


async def evaluated_documents(ledger: Reader) -> list[dict[str, Any]]:
    """Return a row a document of each evaluation, with `traced`: 1 where spans of it are kept."""
    return await ledger.read(_EVALUATED)


async def baseline_pack(ledger: Reader) -> dict[str, Any] | None:
    """Return the row of the pack that the search began with, None before it began."""
    rows = await ledger.read("SELECT * FROM packs WHERE state = 'baseline'")
    return rows[0] if rows else None


async def packs(ledger: Reader) -> dict[str, dict[str, Any]]:
    """Return the rows of all packs by version."""
    return {row["pack"]: row for row in await ledger.read("SELECT * FROM packs")}


async def diff_of(ledger: Reader, pack: str) -> str | None:
    """Return a pack's diff against the baseline, None for an unknown one."""
    rows = await ledger.read("SELECT diff FROM packs WHERE pack = ?", (pack,))
    return rows[0]["diff"] if rows else None


async def scores_of_members(ledger: Reader) -> list[dict[str, Any]]:
    """Return (pack, iteration, block, passed, documents, errored) of the population, a row a finished validation."""
    return await ledger.read(_SCORED.format("p.state IN ('baseline', 'member')"))


async def scores_of_all(ledger: Reader) -> list[dict[str, Any]]:
    """Return the same of every pack that was validated or may be."""
    return await ledger.read(_SCORED.format("p.state != 'invalid'"))


async def scores_of_pack(ledger: Reader, pack: str) -> list[dict[str, Any]]:
    """Return the same of one pack, whether it is one of the population or not."""
    return await ledger.read(_SCORED.format("p.pack = ?"), (pack,))


async def documents_of_split(ledger: Reader, split: str) -> list[str]:
    """Return the ids of a split's documents, in order."""
    rows = await ledger.read("SELECT document_id FROM splits WHERE split = ? ORDER BY position, document_id", (split,))
    return [row["document_id"] for row in rows]


async def ended_evaluation(ledger: Reader, evaluation: str) -> dict[str, Any] | None:
    """Return the row of an evaluation that is done or was stopped early, None for any other."""
    rows = await ledger.read(
        "SELECT * FROM evaluations WHERE evaluation = ? AND state IN ('done', 'stopped')", (evaluation,)
    )
    return rows[0] if rows else None


async def tests_done(ledger: Reader) -> list[str]:
    """Return the names of the finished evaluations on the test split, in the order in which they began."""
    rows = await ledger.read(
        "SELECT evaluation FROM evaluations WHERE split = 'test' AND state = 'done' ORDER BY rowid"
    )
    return [row["evaluation"] for row in rows]


async def ended_trials(ledger: Reader, evaluation: str) -> list[dict[str, Any]]:
    """Return the rows of an evaluation's documents that are no longer pending, in order."""
    return await ledger.read(
        "SELECT * FROM trials WHERE evaluation = ? AND status != 'pending' ORDER BY position", (evaluation,)
    )


async def lineages(ledger: Reader) -> list[dict[str, Any]]:
    """Return (pack, iteration, state, parent, merged) of all packs that may be validated, parents before children.

    `merged` is the pack that the parent was merged with, None where it was edited.
    """
    return await ledger.read(
        "SELECT p.pack, p.iteration, p.state, p.parent, json_extract(i.edits, '$.merged') AS merged"
        " FROM packs p LEFT JOIN iterations i ON i.iteration = p.iteration"
        " WHERE p.state != 'invalid' ORDER BY p.iteration, p.pack"
    )


async def trials_of_packs(ledger: Reader) -> list[dict[str, Any]]:
    """Return (evaluation, pack, split, block, state, position, document_id, status) of training and validation.

    Of evaluations that are over or were stopped early; trials that are pending are left out.
    """
    return await ledger.read(
        "SELECT e.evaluation, e.pack, e.split, e.block, e.state, t.position, t.document_id, t.status"
        " FROM evaluations e JOIN trials t USING (evaluation)"
        " WHERE e.split != 'test' AND e.state != 'open' AND t.status != 'pending' ORDER BY e.rowid, t.position"
    )


async def last_block(ledger: Reader, pack: str, before: int) -> int | None:
    """Return the highest seed block below `before` that a pack was validated on, None without any."""
    rows = await ledger.read(
        "SELECT max(block) AS block FROM evaluations WHERE pack = ? AND split = 'validate' AND block < ?",
        (pack, before),
    )
    block = rows[0]["block"]
    return None if block is None else int(block)


async def blocks_by(ledger: Reader, n: int, packs: Sequence[str], first: int, before: int) -> set[int]:
    """Return the seed blocks from `first` to below `before` that iterations up to `n` began to validate packs on."""
    rows = await ledger.read(
        "SELECT DISTINCT block FROM evaluations WHERE split = 'validate' AND iteration <= ?"
        " AND block >= ? AND block < ? AND pack IN (SELECT value FROM json_each(?))",
        (n, first, before, json.dumps(list(packs))),
    )
    return {int(row["block"]) for row in rows}


async def last_iteration_of(ledger: Reader, worker: int) -> dict[str, Any] | None:
    """Return the row of the iteration that a worker ended last, or None."""
    rows = await ledger.read(
        "SELECT * FROM iterations WHERE lane = ? AND outcome != 'open' ORDER BY iteration DESC LIMIT 1", (worker,)
    )
    return rows[0] if rows else None


async def count_sharing(ledger: Reader, n: int) -> int:
    """Return how many later iterations use the analysis of an iteration."""
    rows = await ledger.read(
        "SELECT count(*) AS n FROM iterations WHERE CAST(json_extract(edits, '$.analysis_of') AS INTEGER) = ?", (n,)
    )
    return int(rows[0]["n"])


async def iterations(ledger: Reader) -> list[dict[str, Any]]:
    """Return the rows of all iterations, in order; those that go on have the outcome `open`."""
    return await ledger.read("SELECT * FROM iterations ORDER BY iteration")


async def iteration_of(ledger: Reader, n: int) -> dict[str, Any] | None:
    """Return the row of an iteration, None for one that was not begun."""
    rows = await ledger.read("SELECT * FROM iterations WHERE iteration = ?", (n,))
    return rows[0] if rows else None


async def open_iteration(ledger: Reader, worker: int) -> dict[str, Any] | None:
    """Return the row of the iteration that a worker has begun and not ended, or None."""
    rows = await ledger.read("SELECT * FROM iterations WHERE outcome = 'open' AND lane = ?", (worker,))
    return rows[0] if rows else None


async def open_workers(ledger: Reader) -> set[int]:
    """Return the workers that have begun an iteration and not ended it."""
    return {row["lane"] for row in await ledger.read("SELECT DISTINCT lane FROM iterations WHERE outcome = 'open'")}


async def count_begun(ledger: Reader) -> int:
    """Return how many iterations were begun."""
    return int((await ledger.read("SELECT count(*) AS n FROM iterations"))[0]["n"])


async def count_ended(ledger: Reader) -> int:
    """Return how many iterations have ended."""
    return int((await ledger.read("SELECT count(*) AS n FROM iterations WHERE outcome != 'open'"))[0]["n"])


async def count_errored_last(ledger: Reader) -> int:
    """Return how many iterations at the end of the ended ones errored, one after another."""
    rows = await ledger.read(
        "SELECT count(*) AS n FROM iterations WHERE outcome = 'errored' AND iteration >"
        " (SELECT coalesce(max(iteration), 0) FROM iterations WHERE outcome NOT IN ('open', 'errored'))"
    )
    return int(rows[0]["n"])


async def count_sampled(ledger: Reader, pack: str) -> int:
    """Return how often a pack was sampled as parent, for failures of its own to be read."""
    rows = await ledger.read(
        "SELECT count(*) AS n FROM iterations WHERE parent = ?"
        " AND json_extract(edits, '$.merged') IS NULL AND json_extract(edits, '$.analysis_of') IS NULL",
        (pack,),
    )
    return int(rows[0]["n"])


async def latest_ended(ledger: Reader, most: int) -> list[int]:
    """Return the numbers of the iterations that ended last, in order."""
    rows = await ledger.read(
        "SELECT iteration FROM iterations WHERE outcome != 'open' ORDER BY iteration DESC LIMIT ?", (most,)
    )
    return [row["iteration"] for row in reversed(rows)]


async def summaries(ledger: Reader, numbers: Sequence[int]) -> list[str]:
    """Return what the log says of some iterations, in order."""
    rows = await ledger.read(
        "SELECT summary FROM iterations WHERE iteration IN (SELECT CAST(value AS INTEGER) FROM json_each(?))"
        " ORDER BY iteration",
        (json.dumps(list(numbers)),),
    )
    return [row["summary"] for row in rows]


async def leaders(ledger: Reader) -> list[tuple[int, str]]:
    """Return (led, mutant) of the iterations that took the lead, the latest first."""
    rows = await ledger.read("SELECT led, mutant FROM iterations WHERE led IS NOT NULL ORDER BY led DESC")
    return [(int(row["led"]), str(row["mutant"])) for row in rows]


async def log(ledger: Reader) -> list[dict[str, Any]]:
    """Return what a caller is shown of the iterations that have ended, in order."""
    return await ledger.read(
        "SELECT iteration AS n, parent, mutant, outcome, reason, parent_score, mutant_score, record, analysis, summary"
        " FROM iterations WHERE outcome != 'open' ORDER BY iteration"
    )
