"""Which threads a checkpoint saver holds anything of, and whether a database file is whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol, cast

from langgraph.checkpoint.base import BaseCheckpointSaver

from autodata.checkpoints.saver import FileSaver

_THREADS = "SELECT thread_id FROM checkpoints UNION SELECT thread_id FROM writes ORDER BY thread_id"


class ListsThreads(Protocol):
    """What a saver that is no file can say of itself."""

    async def thread_ids(self) -> list[str]:
        """Return the ids of all threads that have checkpoints, or writes, in order."""


async def saved_threads(saver: BaseCheckpointSaver[str]) -> list[str]:
    """Return the ids of all threads that have checkpoints, or writes, in order. Raises sqlite3.Error, RunFailed.

    None of them is read: one that cannot be is listed too.
    """
    if isinstance(saver, FileSaver):
        async with saver.conn.execute(_THREADS) as cursor:
            return [str(row[0]) for row in await cursor.fetchall()]
    return await cast("ListsThreads", saver).thread_ids()


def file_damage(path: Path) -> str:
    """Return what is wrong with a database file, read whole; empty where nothing is found."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as file:
            [[problem]] = file.execute("PRAGMA integrity_check(1)").fetchmany(1)
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if problem == "ok" else " ".join(str(problem).split())
