"""The queue of a run's documents: jobs of procrastinate, one a document.

Jobs are put in and fetched by procrastinate. They are taken out, and put back, by statements of our own, which look at
who holds them: procrastinate's go by a job's number alone, and a worker whose lease was ended could end a job that
another one has taken up. Its `Worker` is not used: it stops at the first lost connection, and is silent while it waits
for the jobs that it has in work, which with a lease would give them to others.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import Job as QueueJob

from autodata.checkpoints.workers.database import Database
from autodata.checkpoints.workers.leases import queue_of

TASK: Final = "autodata.document"
BATCH: Final = 1000
"""Jobs that are put in by one statement."""

_QUEUED = "SELECT args ->> 'document' AS document FROM procrastinate_jobs WHERE queue_name = %(queue)s"
_LEFT = """
SELECT count(*) FILTER (WHERE status = 'todo') AS waiting, count(*) FILTER (WHERE status = 'doing') AS working
FROM procrastinate_jobs WHERE queue_name = %(queue)s
"""
_DONE = "DELETE FROM procrastinate_jobs WHERE id = %(job)s AND worker_id = %(worker)s AND status = 'doing'"
_BACK = """
UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL
WHERE worker_id = %(worker)s AND status = 'doing' AND NOT id = ANY(%(kept)s)
"""
_CLEARED = "DELETE FROM procrastinate_jobs WHERE queue_name = %(queue)s AND status != 'doing'"


@dataclass(frozen=True)
class DocumentJob:
    """One document to be taken up, in the epoch that it has then."""

    document_id: str
    epoch: int
    number: int = 0
    """The job's number, once it is in the queue."""


async def put_in(database: Database, run: str, documents: Sequence[DocumentJob]) -> int:
    """Put documents into a run's queue, in order, each once; return how many were not in it yet."""
    queued = {row["document"] for row in await database.rows(_QUEUED, {"queue": queue_of(run)})}
    new = [one for one in documents if one.document_id not in queued]
    for start in range(0, len(new), BATCH):
        await _put_in(database, run, new[start : start + BATCH])
    return len(new)


async def fetch(database: Database, run: str, worker: int) -> DocumentJob | None:
    """Take the next document out of a run's queue for a worker; None where none waits."""
    found = await database.insist(lambda: database.app.job_manager.fetch_job([queue_of(run)], worker))
    if found is None or found.id is None:
        return None
    arguments: dict[str, Any] = found.task_kwargs
    return DocumentJob(arguments["document"], arguments["epoch"], found.id)


async def done(database: Database, job: DocumentJob, worker: int) -> None:
    """Take a document that has ended out of the queue, where this worker still holds it."""
    await database.rows(_DONE, {"job": job.number, "worker": worker})


async def hand_back(database: Database, worker: int, kept: Collection[int] = ()) -> None:
    """Put back all that a worker holds but the `kept` jobs: also one whose fetching lost its answer."""
    await database.rows(_BACK, {"worker": worker, "kept": list(kept)})


async def left(database: Database, run: str) -> tuple[int, int]:
    """Return how many documents of a run wait in the queue, and how many are in work."""
    [row] = await database.rows(_LEFT, {"queue": queue_of(run)})
    return row["waiting"], row["working"]


async def clear(database: Database, run: str) -> None:
    """Take all documents that wait out of a run's queue; its ledger says what is left to do."""
    await database.rows(_CLEARED, {"queue": queue_of(run)})


async def _put_in(database: Database, run: str, documents: Sequence[DocumentJob]) -> None:
    jobs = [_job(run, one) for one in documents]
    try:
        await database.insist(lambda: database.app.job_manager.batch_defer_jobs_async(jobs))
    except AlreadyEnqueued:  # another command has just put some of them in
        if len(jobs) == 1:
            return
        half = len(documents) // 2
        await _put_in(database, run, documents[:half])
        await _put_in(database, run, documents[half:])


def _job(run: str, one: DocumentJob) -> QueueJob:
    lock = f"{queue_of(run)}/{one.document_id}"
    values: dict[str, Any] = {"document": one.document_id, "epoch": one.epoch}
    # `lock` lets one job of a document be in work at a time, `queueing_lock` one be waiting.
    return QueueJob(
        id=None, queue=queue_of(run), lock=lock, queueing_lock=lock, task_name=TASK, task_kwargs=values, priority=0
    )
