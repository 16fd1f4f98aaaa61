"""Letting go of what a finished run no longer needs: the checkpoints of documents that have ended, and free pages."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from autodata.checkpoints.errors import DiskFailed, UserError
from autodata.checkpoints.places import LEDGER
from autodata.checkpoints.queries.documents import settled_documents
from autodata.checkpoints.records import DocumentStatus
from autodata.jobs.run_ledger import ledger_of
from autodata.runner.checkpointer import CHECKPOINTS, open_run_saver
from autodata.runner.config import stored_config
from autodata.runner.run_folder import open_ledger

FILES = (LEDGER, CHECKPOINTS)


@dataclass(frozen=True)
class Pruned:
    """What was let go of."""

    documents: int
    """Documents whose checkpoints were thinned."""
    before: int
    """Bytes of the run's files before."""
    after: int


async def prune_run(run: Path) -> Pruned:
    """Drop checkpoints of ended documents, and give free pages of the files back to the disk.

    Of a rejected document the last checkpoint stays: more rounds go on behind it. Documents that are open, wait for a
    person or errored keep theirs. Nothing of the ledger goes: examples, calls and their replies, all figures.
    What a Postgres server holds is given back by the server itself.
    Raises UserError for a folder that is none or in use, RunFailed for a disk without room.
    """
    async with ledger_of(run):
        pass  # refuses what is no run, before anything is made there
    config = await asyncio.to_thread(stored_config, run / "config.toml")
    before = await asyncio.to_thread(_size, run)
    async with open_ledger(run) as ledger:
        rows = await settled_documents(ledger)
        if config.checkpoints.saver == "sqlite" and not await asyncio.to_thread((run / CHECKPOINTS).exists):
            rows = []
        if rows:
            async with open_run_saver(config.checkpoints, run, ledger) as saver:
                for row in rows:
                    thread = f"main/{row['document_id']}"
                    if row["status"] == DocumentStatus.REJECTED:
                        await saver.aprune([thread], strategy="keep_latest")
                    else:
                        await saver.adelete_thread(thread)
        if config.checkpoints.saver == "sqlite":
            await asyncio.to_thread(_give_back, run / CHECKPOINTS)
    await asyncio.to_thread(_give_back, run / LEDGER)
    return Pruned(len(rows), before, await asyncio.to_thread(_size, run))


def _size(run: Path) -> int:
    files = (run / f"{name}{side}" for name in FILES for side in ("", "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def _give_back(path: Path) -> None:
    """Write a file anew without its free pages."""
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path)) as file:
            file.execute("VACUUM")
    except sqlite3.DatabaseError as error:
        problem = f"{path}: {error}"
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
            raise UserError(f"{problem}: move it away") from error
        raise DiskFailed(f"{problem}: make room for a copy of it, then type the same command again") from error
