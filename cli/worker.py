"""`autodata worker`: takes documents of runs out of a queue, on any number of machines."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.cli.terminal import console

if TYPE_CHECKING:
    from autodata.checkpoints.workers.database import Database
    from autodata.jobs.progress import Progress
    from autodata.runner.document_runner import Runner
    from autodata.runner.worker import Served, Worker

IDLE_SECONDS = 2.0
"""How often a worker without a run looks for one."""


def worker(
    dsn: Annotated[
        str | None,
        typer.Argument(
            help="The Postgres server's address, or the environment variable that holds it.",
            show_default="AUTODATA_POSTGRES_DSN",
        ),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Serve this run alone, and end with it.", show_default="all")] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Documents in work at once.", show_default="the run's")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when no run has anything left to do.")] = False,
    lease: Annotated[
        float, typer.Option(min=1, help="Seconds of silence after which others get this worker's documents.")
    ] = 60.0,
) -> None:
    """Work on runs that 'autodata run --queue' put into a queue, beside any number of other workers.

    Keys come from this machine's environment. Ctrl-C or SIGTERM hands back what is in work.

    Example: autodata worker AUTODATA_POSTGRES_DSN --once
    """
    from autodata.jobs.event_loop import run_long
    from autodata.jobs.queue_run import given_address, require_library

    require_library()
    with suppress(asyncio.CancelledError):
        failed = run_long(_Serving(given_address(dsn), run, concurrency, once, lease).serve())
        if failed:
            raise RunFailed(failed)
        return
    raise RunFailed("stopped at once: its documents go to others when its lease ends")


class _Serving:
    """Runs served one after the other, the one that was begun first before the others."""

    def __init__(self, variable: str, run: str | None, concurrency: int | None, once: bool, lease: float) -> None:
        self._variable, self._run, self._concurrency, self._once = variable, run, concurrency, once
        self._lease = lease
        self._worker: Worker | None = None
        self._over = asyncio.Event()
        self._refused: dict[tuple[str, int], str] = {}

    async def serve(self) -> str:
        """Serve until there is nothing left to do; return why it ended where that is a failure."""
        from autodata.checkpoints.places import address_in
        from autodata.checkpoints.workers.database import open_database

        self._on_signals()
        async with open_database(address_in(self._variable), self._variable) as database:
            while not self._over.is_set():
                served = await self._next(database)
                if served is None:
                    if self._once:
                        break
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._over.wait(), IDLE_SECONDS)
                elif served.failed and not served.lost:
                    return served.reason
        if self._refused and (self._once or self._run):
            raise UserError(next(iter(self._refused.values())))
        return ""

    async def _next(self, database: Database) -> Served | None:
        """Serve the next run to its end; None where there is none."""
        from autodata.checkpoints.workers.jobs import left
        from autodata.checkpoints.workers.runs import open_runs, state_of

        for name in [self._run] if self._run else await open_runs(database):
            state = await state_of(database, name)
            if state is None:
                raise UserError(f"there is no run {name} in this queue: see 'autodata run --queue'")
            if self._run and state.state == "ended":
                self._over.set()
                return None
            waits = state.open and any(await left(database, name))
            if not waits or (name, state.session) in self._refused:
                continue
            try:
                with tempfile.TemporaryDirectory(prefix="autodata-worker-") as folder:
                    return await self._serve(database, name, Path(folder))
            except UserError as error:
                self._refused[name, state.session] = str(error)
                console(stderr=True).print(str(error), soft_wrap=True, markup=False)
                if self._run:
                    self._over.set()
        return None

    async def _serve(self, database: Database, name: str, folder: Path) -> Served | None:
        from autodata.checkpoints.workers.runs import state_of
        from autodata.jobs.progress import Progress
        from autodata.runner.worker import open_worker

        state = await state_of(database, name)
        assert state is not None
        with Progress(console(stderr=True)) as progress:
            async with open_worker(
                database,
                state,
                folder,
                self._variable,
                concurrency=self._concurrency,
                lease=self._lease,
                begun=lambda runner: _watched(runner, progress),
            ) as worker:
                progress.say(f"worker {worker.number} at run {name}")
                self._worker = worker
                if self._over.is_set():
                    worker.drain("interrupted")
                try:
                    served = await worker.work()
                finally:
                    self._worker = None
            why = f": {served.reason}" if served.reason else ""
            progress.say(f"left run {name}: {served.ended} ended, {served.handed_back} handed back{why}")
        return served

    def _on_signals(self) -> None:
        """Let the first Ctrl-C or SIGTERM hand back what is in work, and the second end at once."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def stop() -> None:
            if self._over.is_set() and task is not None:
                task.cancel()
                return
            self._over.set()
            console(stderr=True).print("stopping: calls in flight are waited for; Ctrl-C again stops at once")
            if self._worker:
                self._worker.drain("interrupted")

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)


def _watched(runner: Runner, progress: Progress) -> None:
    runner.on_event = progress.on_event
    runner.report_findings(progress.say)
