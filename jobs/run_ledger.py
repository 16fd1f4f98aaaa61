"""Looking into a run folder without working in it: its ledger, read-only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import Reader, open_readonly
from autodata.checkpoints.places import ledger_place
from autodata.checkpoints.queries.meta import meta_value


@asynccontextmanager
async def ledger_of(run: Path, *, search: bool | None = False) -> AsyncIterator[Reader]:
    """Open a folder's ledger to look into it, also while a command works on it.

    Raises UserError when there is none, or when it is a search's and a run's was asked for, or the other way round.
    With None either will do.
    """
    async with open_readonly(await asyncio.to_thread(ledger_place, run)) as ledger:
        if search is not None and await holds_search(ledger) is not search:
            holds = "a run" if search else "a search: look at it with 'autodata optimize status'"
            raise UserError(f"{run} holds {holds}")
        yield ledger


async def holds_search(ledger: Reader) -> bool:
    """Whether a folder's ledger is that of a search of `autodata optimize`."""
    return await meta_value(ledger, "kind") == "optimize"
