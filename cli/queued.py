"""`autodata run --queue`: workers do the work, and this process puts documents into their queue and watches."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autodata.checkpoints.errors import UserError
from autodata.cli.terminal import console
from autodata.cli.watch import Watch

if TYPE_CHECKING:
    from autodata.jobs.session import Session
    from autodata.jobs.standing import Standing
    from autodata.runner.config import RunConfig


def at_server(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return flags of a run with those that put its ledger and its checkpoints where workers reach them."""
    return {**flags, "ledger.store": "postgres", "checkpoints.saver": "postgres"}


def run_in_queue(queue: str, config: RunConfig, paths: list[Path], out: Path) -> Session:
    """Do one session. Raises UserError and RunFailed."""
    from autodata.checkpoints.places import has_ledger
    from autodata.cli.run import on_signals
    from autodata.jobs.event_loop import run_long
    from autodata.jobs.inputs import Inputs
    from autodata.jobs.queue_run import QueueRun, given_address, put_in_and_watch, require_library

    if config.lessons.enabled:
        raise UserError("--queue: lessons are learnt between batches, in one process: leave --lessons out, or --queue")
    require_library()
    given_address(queue, config.ledger.dsn_env)
    if not paths and not has_ledger(out):
        raise UserError(f"{out} holds no documents yet: give --documents PATH")
    shown = Watch(console(stderr=True), str(out), sleep=asyncio.sleep)

    def seen(standing: Standing) -> None:
        shown.seen = standing

    run = QueueRun(config, Inputs(config, paths), out, shown, seen)

    async def work() -> Session:
        on_signals(run, shown)
        return await put_in_and_watch(run)

    return run_long(work())
