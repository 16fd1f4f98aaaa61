"""Whether the checkpoints of a folder can be read, belong to its documents, and know nothing that the ledger lacks."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from autodata.checkpoints.document_queue import MAIN
from autodata.checkpoints.errors import RunFailed, UnreadableCheckpoint
from autodata.checkpoints.records import DocumentStatus
from autodata.checkpoints.saved_threads import saved_threads
from autodata.checkpoints.saver import ROUND_KEY
from autodata.jobs.check_problems import Problem, Repair

Row = Mapping[str, Any]


async def checkpoints(
    saver: BaseCheckpointSaver[str], standing: Sequence[Row], evaluations: frozenset[str]
) -> tuple[list[Problem], frozenset[str]]:
    """Return what is wrong with the threads of a saver, and the threads that it holds.

    `standing` has a row for each document of each evaluation: `evaluation`, `document_id`, `name`, `latest`,
    `examples`. Threads of other graphs than the loop, the optimiser's say, are read and no more.
    """
    threads = await saved_threads(saver)
    of = {f"{row['evaluation']}/{row['document_id']}": row for row in standing}
    found: list[Problem] = []
    for thread in threads:
        values, problem = await _values(saver, thread)
        row = of.get(thread)
        if problem:
            what = f"it cannot be read: {problem}"
            found.append(Problem("unreadable_checkpoint", f"thread {thread}", what, Repair.FORGET_THREAD, thread))
        elif row is not None:
            found += _compared(thread, values, row)
        elif thread.rpartition("/")[0] in evaluations:
            what = "no document of the ledger has it"
            found.append(Problem("orphan_checkpoint", f"thread {thread}", what, Repair.FORGET_THREAD, thread))
    return found, frozenset(threads)


async def _values(saver: BaseCheckpointSaver[str], thread: str) -> tuple[Mapping[str, Any], str]:
    """Return the state of a thread's latest checkpoint, or else why it cannot be read."""
    try:
        item = await saver.aget_tuple({"configurable": {"thread_id": thread, "checkpoint_ns": ""}})
        values: Mapping[str, Any] = item.checkpoint["channel_values"] if item else {}
        return dict(values), ""
    except (RunFailed, sqlite3.Error):
        raise
    except UnreadableCheckpoint as error:
        return {}, error.why
    except Exception as error:  # noqa: BLE001 - of bytes that anybody may have written: whatever it raises is a finding
        return {}, f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"


def _compared(thread: str, values: Mapping[str, Any], row: Row) -> list[Problem]:
    n, latest = values.get(ROUND_KEY), row["latest"] or 0
    repair = Repair.WALK_AGAIN if row["evaluation"] == MAIN else None
    subject = str(row["document_id"]) if repair else ""
    found = []
    # Where several challengers write, a round is recorded once a draft is chosen: its number is in the state before.
    if isinstance(n, int) and n > latest + 1:
        what = f"it stands in round {n}, the ledger's latest is {latest}"
        found.append(Problem("checkpoint_ahead", f"thread {thread}", what, repair, subject))
    if values.get("status") == DocumentStatus.ACCEPTED and not row["examples"]:
        what = "it was accepted, and the ledger has no example"
        found.append(Problem("checkpoint_ahead", f"thread {thread}", what, repair, subject))
    return found
