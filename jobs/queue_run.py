"""`autodata run --queue`: documents into a queue of workers, and how they do until all have ended (extra `workers`)."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.queries.documents import (
    answered_documents,
    count_usable,
    errored_lines,
    open_documents,
    unsettled_documents,
)
from autodata.checkpoints.records import DocumentStatus
from autodata.checkpoints.writes import record_target
from autodata.corpus.summary import summarise
from autodata.jobs.session import Session, accepted_examples
from autodata.jobs.standing import Standing
from autodata.jobs.watch import Worker, standing_of
from autodata.runner.places import DSN_ENV

if TYPE_CHECKING:
    from autodata.checkpoints.ledger import Ledger
    from autodata.checkpoints.workers.database import Database
    from autodata.checkpoints.workers.jobs import DocumentJob
    from autodata.checkpoints.workers.leases import Present
    from autodata.checkpoints.workers.runs import RunState
    from autodata.jobs.inputs import Inputs
    from autodata.jobs.watching import Watching
    from autodata.runner.config import RunConfig
    from autodata.runner.outcome import Outcome

EVERY_SECONDS = 1.0
"""Seconds between two looks at the queue."""
SLOWEST = 10.0
"""A look takes at most a tenth of the time."""
ALONE_SECONDS = 30.0
"""How long a run without a worker waits until it says so."""


def given_address(value: str | None, variable: str = DSN_ENV) -> str:
    """Return the name of the environment variable that holds a server's address.

    `value` is the address, which is put into `variable` of this process alone, or the name of a variable that holds it;
    None stands for `variable`. Raises UserError where there is no address.
    """
    from autodata.checkpoints.places import address_in

    if value is None or re.fullmatch(r"[A-Za-z_]\w*", value, re.ASCII):
        address_in(value or variable)
        return value or variable
    os.environ[variable] = value
    return variable


def require_library() -> None:
    """Raise UserError where the libraries of workers are missing."""
    try:
        import_module("autodata.checkpoints.workers.database")
    except ImportError as error:
        raise UserError(
            f"workers need libraries that are missing ({error}): pip install 'autodata-langgraph[workers]'"
        ) from error


@dataclass(frozen=True)
class Others(Worker):
    """The workers of a run, as the process that works on it is seen elsewhere."""

    present: bool = True

    @property
    def alive(self) -> bool:
        """Whether any of them is there."""
        return self.present


@dataclass
class QueueRun:
    """One session of a run that workers do: it puts documents into the queue and watches."""

    config: RunConfig
    inputs: Inputs
    out: Path
    progress: Watching
    shown: Callable[[Standing], None]
    """Takes how the run stands, for the figures."""
    notes: list[str] = field(default_factory=list)
    _stopping: str = ""

    def drain(self, reason: str, *, failed: bool = False) -> None:
        """Let the workers hand back what they hold, and end."""
        self._stopping = self._stopping or reason

    def note(self, line: str) -> None:
        """Say a line that the session keeps."""
        self.notes.append(line)
        self.progress.say(line)

    async def work(self) -> Session:
        """Put documents into the queue, and watch until all have ended. Raises UserError and RunFailed."""
        from autodata.checkpoints.places import address_in
        from autodata.checkpoints.workers.database import open_database
        from autodata.runner.destinations import destinations
        from autodata.runner.run_folder import open_ledger

        config = self.config
        with self.progress:
            self.progress.say(f"{destinations(config.roles().values(), config.tracing)}, from the workers' machines")
            async with (
                open_ledger(self.out, config=config.ledger, together=True) as ledger,
                open_database(address_in(config.ledger.dsn_env), config.ledger.dsn_env) as database,
            ):
                state = await self._begin(ledger, database)
                outcome = await self._watch(ledger, database, state)
                examples = await accepted_examples(ledger)
                return Session(outcome, await summarise(ledger), examples, self.notes)

    async def _begin(self, ledger: Ledger, database: Database) -> RunState:
        from autodata.checkpoints.workers import jobs, runs
        from autodata.nodes.solver_modes import cautions
        from autodata.runner.ingest import ingest
        from autodata.runner.run_folder import bind, spent_budget
        from autodata.runner.worker import bounds_of, this_version

        config = self.config
        shared = ledger.shared
        if shared is None:
            raise UserError(f"{self.out} keeps its ledger in a file, where workers cannot reach it: use another --out")
        await bind(ledger, self.out, config.resolved(config.pack().version))
        await record_target(ledger, config.target)
        for warning in cautions(config.chosen_domain, config.roles()):
            self.note(f"warning: {warning}")
        found = await ingest(ledger, self.inputs)
        for line in self.inputs.lines(found, self.out):
            self.note(line)
        if not await count_usable(ledger):
            raise self.inputs.nothing_usable(found.skipped)
        spent = await spent_budget(config, ledger, config.roles())
        before = runs.Spent(spent.spent_calls, spent.spent_tokens, spent.spent_usd)
        state = await runs.begin_session(database, shared.run, this_version(), bounds_of(config), before)
        waiting = await jobs.put_in(database, shared.run, await left_to_do(ledger, config.limit))
        self.note(f"run {shared.run}: {waiting:,} document{'' if waiting == 1 else 's'} put into the queue")
        return state

    async def _watch(self, ledger: Ledger, database: Database, state: RunState) -> Outcome:
        """Look at queue and workers until nothing is left to do."""
        from autodata.checkpoints.workers import jobs, leases, runs
        from autodata.runner.outcome import Outcome
        from autodata.runner.worker import target_reached

        assert ledger.shared is not None
        run, alone, said = state.run, time.monotonic(), False
        outcome = Outcome()
        while True:
            began = time.monotonic()
            await leases.end_silent(database, run, ledger.shared.schema)
            now = await runs.state_of(database, run) or state
            there = await leases.present(database, run, state.session)
            waiting, working = await jobs.left(database, run)
            if now.session != state.session:
                outcome.stop("another command began the run anew", failed=True)
                return outcome
            await self._stop_where_over(database, now, there, await target_reached(ledger, state.bounds.target))
            others = Others(None, state.since, present=there.alive > 0)
            self.shown(await standing_of(ledger, others, time.time(), now.bounds.target))
            self.progress.tick()
            if not working and (not waiting or not now.open):
                break
            alone = time.monotonic() if there.alive else alone
            if not said and time.monotonic() - alone > ALONE_SECONDS:
                self.progress.say("no worker is at it: start some with 'autodata worker', here or elsewhere")
                said = True
            await asyncio.sleep(max(EVERY_SECONDS, SLOWEST * (time.monotonic() - began)) if not self._stopping else 0.1)
        await jobs.clear(database, run)
        await runs.end_run(database, run)
        if not now.open:
            outcome.stop(now.reason, failed=now.failed)
        outcome.errored += await errored_lines(ledger)
        return outcome

    async def _stop_where_over(self, database: Database, now: RunState, there: Present, reached: str) -> None:
        """Stop a run that a person ended, whose target is reached, or whose workers have all failed."""
        from autodata.checkpoints.workers.runs import stop_run

        if not now.open:
            return
        if self._stopping:
            await stop_run(database, now.run, self._stopping, failed=True)
        elif reached:
            await stop_run(database, now.run, reached)
        elif not there.alive and there.reason:
            await stop_run(database, now.run, f"no worker is left: {there.reason}", failed=True)


async def left_to_do(ledger: Ledger, limit: int | None) -> list[DocumentJob]:
    """Return the documents of a run that a session takes up, in order, each in the epoch that it is worked on in."""
    from autodata.checkpoints.workers.jobs import DocumentJob

    rows: list[dict[str, Any]] = await open_documents(ledger, limit)
    found = [DocumentJob(row["document_id"], row["epoch"] + (row["status"] == DocumentStatus.ERRORED)) for row in rows]
    others = [*await answered_documents(ledger), *await unsettled_documents(ledger)]
    return found + [DocumentJob(row["document_id"], row["epoch"]) for row in others]


async def put_in_and_watch(run: QueueRun) -> Session:
    """Do one session. A second signal ends it at once: the workers go on, as they do when this process dies."""
    with suppress(asyncio.CancelledError):
        return await run.work()
    raise RunFailed("the watching ended at once: workers go on; the same command watches again")
