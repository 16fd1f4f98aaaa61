"""A worker: takes documents of a run out of its queue and through the loop, beside any number of other workers.

The state is in the run's ledger, checkpoints and journal at the server, so a document goes on wherever it is taken up.
A worker that dies, or hangs for longer than its lease, loses its documents to others (`checkpoints/workers/leases.py`).
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from autodata.checkpoints.errors import LeaseLost, RunFailed, UserError
from autodata.checkpoints.ledger import Ledger, open_readonly
from autodata.checkpoints.places import address_in, ledger_place
from autodata.checkpoints.queries.chosen import accepted_keys
from autodata.checkpoints.queries.documents import count_examples
from autodata.checkpoints.queries.meta import meta
from autodata.checkpoints.workers import jobs, leases
from autodata.checkpoints.workers.database import Database
from autodata.checkpoints.workers.runs import Bounds, RunState, state_of, stop_run
from autodata.models.config import BudgetConfig
from autodata.runner.config import RunConfig, at_defaults
from autodata.runner.document_runner import open_runner_of
from autodata.runner.fingerprint import changed_since, fingerprint
from autodata.runner.one_by_one import OneByOne
from autodata.runner.reservations import RunReservations, Shares
from autodata.runner.shared import attach
from autodata.runner.side_by_side import documents_at_once

POLL_SECONDS = 1.0
"""How often an idle worker asks for documents, and every worker how its run stands."""


def this_version() -> str:
    """Return the version by which workers and runs know each other."""
    return version("autodata-langgraph")


async def attached(state: RunState, folder: Path, dsn_env: str) -> RunConfig:
    """Return the configuration with which a run is served from a folder of this machine, within its bounds.

    Raises UserError where the run was begun by another version, or would give other results here.
    """
    refused = f"run {state.run} cannot be served here:"
    if state.version != this_version():
        raise UserError(
            f"{refused} it was begun by version {state.version}, this is {this_version()}:"
            f" pip install autodata-langgraph=={state.version}"
        )
    config = await attach(state.run, folder, dsn_env)
    for variable in (config.ledger.dsn_env, config.checkpoints.dsn_env):
        os.environ.setdefault(variable, address_in(dsn_env))
    if config.checkpoints.saver != "postgres":
        raise UserError(f'{refused} its checkpoints are in files: begin it with checkpoints.saver = "postgres"')
    resolved = config.resolved(config.pack().version)
    async with open_readonly(ledger_place(folder)) as ledger:
        known = await meta(ledger)
    if changed := changed_since(known, fingerprint(resolved), folder, later=at_defaults(resolved)):
        raise UserError(
            f"{refused} its settings come out otherwise ({'; '.join(changed[:5])}): install here what it was begun with"
        )
    bounds = state.bounds
    budget = BudgetConfig(max_calls=bounds.max_calls, max_tokens=bounds.max_tokens, max_usd=bounds.max_usd)
    return config.model_copy(update={"budget": budget})


def bounds_of(config: RunConfig) -> Bounds:
    """Return what one session of a configuration may take."""
    budget = config.budget
    return Bounds(
        documents_at_once(config),
        config.target,
        budget.max_calls,
        budget.max_tokens,
        budget.max_usd,
        budget.max_seconds,
    )


async def target_reached(ledger: Ledger, target: int | None) -> str:
    """Return why a run with a target ends, empty while examples are missing."""
    if target is None or await count_examples(ledger) < target or len(await accepted_keys(ledger)) < target:
        return ""
    return f"target of {target} accepted reached"


@dataclass
class Served:
    """What one worker did for a run."""

    ended: int = 0
    """Documents that came to their end here."""
    handed_back: int = 0
    reason: str = ""
    """Why it stopped before the run was over; empty otherwise."""
    failed: bool = False
    """Whether that was a failure of this worker."""
    lost: bool = False
    """Whether its lease was ended: it may begin another one."""


@dataclass
class Worker:
    """One worker at one run, from its first document to its last."""

    database: Database
    runner: OneByOne
    state: RunState
    schema: str
    """The schema of the run's ledger."""
    number: int
    """The worker's, by which its lease goes."""
    shares: Shares
    concurrency: int
    lease: float = leases.LEASE_SECONDS
    served: Served = field(default_factory=Served)
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _running: dict[asyncio.Task[None], jobs.DocumentJob] = field(default_factory=dict)

    def drain(self, reason: str, *, failed: bool = False) -> None:
        """Take up nothing more; documents in work stop at their next checkpoint and go back into the queue."""
        if not self._over.is_set():
            self.served.reason, self.served.failed = reason, failed
            self._over.set()
            self.runner.drain(reason or "the run has ended", failed=failed)

    async def work(self) -> Served:
        """Take documents until the run is over, the queue's session ends, or something says stop."""
        beats = asyncio.create_task(self._beat())
        failure: BaseException | None = None
        try:
            await self._take_documents()
        except BaseException as error:
            failure = error
            raise
        finally:
            self.runner.drain("the worker ends")
            for task in self._running if isinstance(failure, asyncio.CancelledError) else ():
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            beats.cancel()
            with suppress(asyncio.CancelledError):
                await beats
            await self._leave(failure)
        return self.served

    async def _leave(self, failure: BaseException | None) -> None:
        reason = str(failure) if isinstance(failure, RunFailed | UserError) else ""
        if self.served.failed:
            reason = reason or self.served.reason
        if self.served.lost:
            return
        await leases.leave(self.database, self.number, self.state.run, self.schema, reason)

    async def _take_documents(self) -> None:
        while not self._over.is_set():
            self._raise_failures()
            found = await self._fetched() if len(self._running) < self.concurrency else None
            if found is None:
                await self._pause()
            else:
                self._running[asyncio.create_task(self._take(found))] = found
        while self._running:
            await asyncio.wait(self._running)
            self._raise_failures()

    async def _fetched(self) -> jobs.DocumentJob | None:
        """Return the next document, None where none waits. A worker without its lease gets none."""
        try:
            found = await jobs.fetch(self.database, self.state.run, self.number)
            if found is None:
                # A document whose fetching lost its answer is in nobody's work.
                await jobs.hand_back(self.database, self.number, [one.number for one in self._running.values()])
        except RunFailed:
            if await leases.say_alive(self.database, self.number):
                raise
            self._lose()
            return None
        return found

    async def _pause(self) -> None:
        """Wait until a document has ended, the worker is to stop, or the queue may hold something new."""
        over = asyncio.create_task(self._over.wait())
        full = len(self._running) >= self.concurrency
        try:
            await asyncio.wait(
                {over, *self._running},
                timeout=None if full else POLL_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            over.cancel()

    def _raise_failures(self) -> None:
        """Forget the tasks that are done. Raises what one of them met, a lost lease excepted."""
        for task in [task for task in self._running if task.done()]:
            del self._running[task]
            task.result()

    async def _take(self, job: jobs.DocumentJob) -> None:
        try:
            if await self.runner.take_up(job.document_id, job.epoch):
                await jobs.done(self.database, job, self.number)
                self.served.ended += 1
            else:
                self.served.handed_back += 1
        except LeaseLost:
            self._lose()
            return
        if not self._over.is_set() and not await leases.say_alive(self.database, self.number):
            self._lose()
            return
        if outcome := self.runner.outcome.stopped:
            await self._stopped(outcome)

    async def _stopped(self, reason: str) -> None:
        """Follow the runner: a bound of the whole run ends it for all, a failure ends this worker alone."""
        if self._over.is_set():
            return
        failed = self.runner.outcome.failed
        if not failed:
            await stop_run(self.database, self.state.run, reason)
        self.drain(reason, failed=failed)

    def _lose(self) -> None:
        self.served.lost = True
        self.drain("it was silent for longer than its lease, and others have its documents", failed=True)

    # Signs of life

    async def _beat(self) -> None:
        every = min(POLL_SECONDS, self.lease / 6)
        while True:
            try:
                await self._one_beat()
            except LeaseLost:
                self._lose()
            except RunFailed as error:
                self.drain(str(error), failed=True)
                return
            await asyncio.sleep(every)

    async def _one_beat(self) -> None:
        sent = time.monotonic()
        if not await leases.say_alive(self.database, self.number):
            self._lose()
            return
        await leases.end_silent(self.database, self.state.run, self.schema)
        await self.shares.renew(self.database, self.number, sent + 0.8 * self.lease)
        if not self._over.is_set():
            await self._look_at_run()

    async def _look_at_run(self) -> None:
        now = await state_of(self.database, self.state.run)
        if now is None or now.state == "ended":
            self.drain("")
        elif now.session != self.state.session:
            self.drain("the run was begun anew")
        elif not now.open:
            self.drain(now.reason)
        elif reached := await target_reached(self.runner.ledger, now.bounds.target):
            await stop_run(self.database, self.state.run, reached)
            self.drain(reached)


@asynccontextmanager
async def open_worker(
    database: Database,
    state: RunState,
    folder: Path,
    dsn_env: str,
    *,
    concurrency: int | None = None,
    lease: float = leases.LEASE_SECONDS,
    begun: Callable[[OneByOne], Any] = lambda runner: None,
) -> AsyncIterator[Worker]:
    """Open what a worker needs to serve a run, in a folder of its own. Nothing is taken up yet.

    `begun` is given the runner before. Raises UserError as `attached` and `open_run_folder` do.
    """
    config = await attached(state, folder, dsn_env)
    async with open_runner_of(OneByOne, config, folder) as runner:
        shared = runner.ledger.shared
        if shared is None:
            raise UserError(f"{folder} is no folder of a run at a server: use another one")
        number = await leases.register(database, state.run, socket.gethostname(), state.session, lease)
        runner.write_under(number)
        if state.bounds.reserved:
            runner.budget.shared = RunReservations(database, state.run, number, runner.budget)
        shares = Shares(runner.endpoints)
        shares.take_over()
        begun(runner)
        await runner.begin()
        yield Worker(
            database, runner, state, shared.schema, number, shares, concurrency or state.bounds.concurrency, lease
        )
