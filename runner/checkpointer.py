"""Which saver keeps a run's checkpoints: the file in its folder, or a Postgres server that runs share."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from langgraph.checkpoint.base import BaseCheckpointSaver

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import Ledger, Reader
from autodata.checkpoints.places import LEDGER, address_in
from autodata.checkpoints.queries.meta import meta_value
from autodata.checkpoints.saver import open_saver
from autodata.checkpoints.writes import record_meta
from autodata.runner.places import CheckpointsConfig

CHECKPOINTS = "checkpoints.db"
"""The checkpoint file in a run folder."""


@asynccontextmanager
async def open_run_saver(
    config: CheckpointsConfig, folder: Path, ledger: Ledger
) -> AsyncIterator[BaseCheckpointSaver[str]]:
    """Open the saver that a run's configuration names. Raises UserError when it cannot be used."""
    if config.saver == "sqlite":
        async with open_saver(folder / CHECKPOINTS) as file:
            yield file
        return
    dsn = address_in(config.dsn_env)
    library = await asyncio.to_thread(_postgres)  # a server lets nothing read files on its event loop
    async with library.open_postgres(dsn, config.dsn_env, await run_prefix(ledger)) as saver:
        yield saver


@asynccontextmanager
async def open_kept(
    config: CheckpointsConfig, folder: Path, ledger: Reader
) -> AsyncIterator[BaseCheckpointSaver[str] | None]:
    """Open the checkpoints that are left of a run to look into them; None when there are none.

    Raises UserError when they cannot be read.
    """
    if config.saver == "sqlite":
        if not await asyncio.to_thread((folder / CHECKPOINTS).exists):
            yield None
            return
        async with open_saver(folder / CHECKPOINTS) as file:
            yield file
        return
    prefix = await known_prefix(ledger)
    if prefix is None:
        yield None
        return
    dsn = address_in(config.dsn_env)
    library = await asyncio.to_thread(_postgres)
    async with library.open_postgres(dsn, config.dsn_env, prefix) as saver:
        yield saver


async def describe_saver(config: CheckpointsConfig) -> str:
    """Say what a shared server's database holds; empty for the file. Raises UserError when it cannot be used."""
    if config.saver == "sqlite":
        return ""
    library = await asyncio.to_thread(_postgres)
    found: str = await library.describe(address_in(config.dsn_env), config.dsn_env)
    return found


async def run_prefix(ledger: Ledger) -> str:
    """Return what the thread ids of this run begin with in a shared database: `<run id>/`, made once and kept.

    It belongs to this very file: a copy of the folder is another run and gets another id, and so does a folder that
    was moved to another disk. Its unfinished documents start again, with the replies that the journal holds.
    """
    known = await known_prefix(ledger)
    if known is not None:
        return known
    new = {"run_id": uuid4().hex, "run_file": await asyncio.to_thread(_file, ledger.folder)}
    await record_meta(ledger, new)
    return f"{new['run_id']}/"


async def known_prefix(ledger: Reader) -> str | None:
    """Return what `run_prefix` made for this very file; None when it has made nothing yet.

    A run whose ledger is at a server has the name that it has there.
    """
    if ledger.shared is not None:
        return f"{ledger.shared.run}/"
    made_for, run_id = await meta_value(ledger, "run_file"), await meta_value(ledger, "run_id")
    return f"{run_id}/" if made_for == await asyncio.to_thread(_file, ledger.folder) else None


def _file(folder: Path) -> str:
    return str((folder / LEDGER).stat().st_ino)


def _postgres() -> Any:
    try:
        return importlib.import_module("autodata.checkpoints.postgres")
    except ImportError as error:
        raise UserError(
            f'checkpoints.saver = "postgres" needs libraries that are missing ({error}):'
            " pip install 'autodata-langgraph[postgres]'"
        ) from error
