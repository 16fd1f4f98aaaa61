"""Runs at a Postgres server, seen from another machine: their names, and a folder for one of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import open_readonly
from autodata.checkpoints.places import begin_shared
from autodata.checkpoints.queries.meta import CONFIG, meta_value
from autodata.runner.config import RunConfig, stored_config, write_resolved
from autodata.runner.run_folder import make_folder


async def attach(run: str, folder: Path, dsn_env: str) -> RunConfig:
    """Make a folder, on any machine, that is a run's at the server, and return the run's configuration.

    What the folder holds then is the run's name and its settings: `open_run_folder` goes on with the run there, and
    commands that look at a folder look at the run. Raises UserError for a run that is not there, and for a folder of
    another one.
    """
    await asyncio.to_thread(make_folder, folder, "choose another folder")
    place = await asyncio.to_thread(begin_shared, folder, dsn_env, run)
    async with open_readonly(place) as ledger:
        kept = await meta_value(ledger, CONFIG)
    if kept is None:
        raise UserError(f"run {run} was made and never begun: begin it with 'autodata run --out FOLDER'")
    await asyncio.to_thread(write_resolved, folder / "config.toml", json.loads(kept))
    return await asyncio.to_thread(stored_config, folder / "config.toml")
