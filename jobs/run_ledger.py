"""Looking into a run folder without working in it: its ledger, read-only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from autodata.checkpoints.ledger import Reader, open_readonly
from autodata.checkpoints.records import UserError


@asynccontextmanager
async def ledger_of(run: Path, *, search: bool = False) -> AsyncIterator[Reader]:
    """Open a folder's ledger to look into it, also while a command works on it.

    Raises UserError when there is none, or when it is a search's and a run's was asked for, or the other way round.
    """
    async with open_readonly(_ledger_file(run)) as ledger:
        rows = await ledger.read("select value from meta where key = 'kind'")
        if (bool(rows) and rows[0]["value"] == "optimize") is not search:
            holds = "a run" if search else "a search: look at it with 'autodata optimize status'"
            raise UserError(f"{run} holds {holds}")
        yield ledger


def _ledger_file(run: Path) -> Path:
    path = run / "run.db"
    if not path.is_file():
        what = "holds no run.db" if run.is_dir() else "no such folder"
        raise UserError(f"{run}: {what}: name a folder that 'autodata run --out' made")
    return path
