"""`autodata status --watch`: a run as it goes on, seen from its folder while another process works on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console, RenderableType
from rich.text import Text

from autodata.checkpoints.errors import RunFailed
from autodata.jobs.run_ledger import ledger_of
from autodata.jobs.standing import Standing, duration
from autodata.jobs.watch import Worker, standing_of, worker_of
from autodata.jobs.watching import Watching

EVERY_SECONDS = 2.0
"""Seconds between two looks into the folder."""
SLOWEST = 10.0
"""A look takes at most a tenth of the time: at a large folder looks are further apart."""


class Watch(Watching):
    """Shows a run by what was last seen of it."""

    def __init__(self, console: Console, name: str, *, sleep: Callable[[float], Awaitable[None]]) -> None:
        super().__init__(console, sleep=sleep)
        self._name = name
        self.seen: Standing | None = None

    def figures(self) -> list[str]:
        """Return how the run stands, in lines."""
        return self.seen.lines() if self.seen else ["looking"]

    def _render(self) -> RenderableType:
        headline, *lines = self.figures()
        elapsed = duration(self.seen.elapsed) if self.seen else ""
        return Text("\n".join([f"{self._name}  {elapsed}  {headline}", *(f"  {line}" for line in lines)]))


def watch_run(run: Path, console: Console) -> bool:
    """Show a run until it ends; return False when a person ended the showing (Ctrl-C).

    Raises UserError when the folder holds no run.
    """
    try:
        asyncio.run(_watch(run, console))
    except KeyboardInterrupt:
        return False
    return True


async def _watch(
    run: Path,
    console: Console,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    worker: Callable[[Path], Worker] = worker_of,
) -> None:
    async with ledger_of(run) as ledger:
        with Watch(console, str(run), sleep=sleep) as shown:
            while True:
                working = worker(run)
                alive, began = working.alive, time.monotonic()
                try:
                    shown.seen = await standing_of(ledger, working, time.time())
                except RunFailed as error:  # the folder is busy or its disk slow: the next look may do
                    shown.say(str(error))
                shown.tick()
                if not alive or (shown.seen is not None and not shown.seen.left):
                    break
                await sleep(max(EVERY_SECONDS, SLOWEST * (time.monotonic() - began)))
            shown.say("no process works on it" if not alive else "the run has ended")
