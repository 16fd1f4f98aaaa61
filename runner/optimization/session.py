"""An optimisation in its folder: three splits of documents, workers of the optimiser's graph, a held-out test."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Self

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from langgraph.runtime import RunControl

from autodata.checkpoints.errors import Effect, Stopped, UserError, effect_of
from autodata.checkpoints.ids import canonical_json
from autodata.checkpoints.queries.meta import TRACKED, meta, meta_value
from autodata.checkpoints.queries.searches import count_ended, open_workers, tests_done
from autodata.checkpoints.records import Document
from autodata.checkpoints.saver import checkpoint_error, keep_rounds
from autodata.checkpoints.writes import record_meta, record_splits
from autodata.domains.domain import Domain
from autodata.graphs.optimizer import STEPS, build_optimizer
from autodata.models.config import ModelSettings
from autodata.models.endpoint import Endpoint
from autodata.models.local.serving import Progress
from autodata.nodes.optimizer.edit_sandbox import EditSandbox, require_own_files
from autodata.nodes.optimizer.evaluate import evaluation_id, examine
from autodata.nodes.optimizer.evaluator import EvaluationRequest, Evaluator, Trial
from autodata.nodes.optimizer.ngrams import Shingles
from autodata.nodes.optimizer.settings import OPTIMIZER_DEFAULTS
from autodata.nodes.optimizer.state import OptContext, Result, Search
from autodata.nodes.optimizer.strategies import acceptance_of, estimator_of, selector_of
from autodata.nodes.optimizer.trajectories import Trajectories
from autodata.prompts import load_pack
from autodata.prompts.roles import OPTIMIZER_ROLES
from autodata.runner.config import RunConfig, as_begun
from autodata.runner.events import OptimizationEvent
from autodata.runner.ingest import add_documents
from autodata.runner.optimization.archive import LedgerArchive
from autodata.runner.optimization.callbacks import Watchers
from autodata.runner.optimization.evaluator import DocumentEvaluator
from autodata.runner.optimization.failures import LedgerTrajectories, TracedTrajectories
from autodata.runner.optimization.own import NOTHING, Own, require_same_parts
from autodata.runner.optimization.splits import FLAGS, SPLITS, near_copies, require_same, require_splits
from autodata.runner.optimization.stopping import standing_of, stoppers_of
from autodata.runner.optimization.trackers import trackers_of, tracking
from autodata.runner.outcome import Outcome, first_failure
from autodata.runner.run_folder import RunFolder, open_run_folder
from autodata.tracing.langsmith import langsmith_wanted, project_name


class OptimizeRunConfig(RunConfig):
    """A run's configuration, read as an optimisation: its rounds, the final check always on, the optimiser's roles."""

    kind: ClassVar[str] = "optimize"

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Return the optimisation of a run's configuration; `limit`, `target` and `review` take no part."""
        given = config.model_dump(exclude_unset=True, exclude={"limit", "target", "review"})
        return cls.model_validate({**given, "max_rounds": config.optimize.max_rounds})

    @cached_property
    def chosen_domain(self) -> Domain:
        """The domain, with the final check that counts an acceptance, and attempts curtailed where that is wanted."""
        domain: Domain = super().chosen_domain
        curtail = domain.curtail or self.optimize.curtail
        return domain.model_copy(update={"final_check": True, "curtail": curtail})

    def roles(self) -> dict[str, ModelSettings]:
        """Return every role's full model settings, the analyst's and the editor's too."""
        defaults = {**self.chosen_domain.role_defaults, **OPTIMIZER_DEFAULTS}
        return self.models.resolve(defaults, [*self.chosen_domain.roles, *OPTIMIZER_ROLES])

    def resolved(self, prompt_version: str) -> dict[str, Any]:
        """Return everything as plain values, the settings of the search included."""
        return {
            **super().resolved(prompt_version),
            "optimize": self.optimize.model_dump(mode="json", exclude_none=True),
        }

    @property
    def of_evaluations(self) -> RunConfig:
        """The configuration of single evaluations: the clock is the search's."""
        return self.model_copy(update={"budget": self.budget.model_copy(update={"max_seconds": None})})


class Optimization:
    """One session of a search."""

    def __init__(
        self,
        config: OptimizeRunConfig,
        run_folder: RunFolder,
        evaluator: Evaluator | None = None,
        trajectories: Trajectories | None = None,
        own: Own = NOTHING,
    ) -> None:
        self._config, self._run_folder = config, run_folder
        self.ledger, self.outcome = run_folder.ledger, Outcome(notes=run_folder.tracer.notes)
        self.archive = LedgerArchive(
            run_folder.ledger,
            run_folder.pack,
            run_folder.ledger,
            batch=config.optimize.wave,
            estimator=own.estimator,
        )
        self._own, self._stoppers = own, [*stoppers_of(config.optimize), *own.stoppers]
        self._watchers = Watchers(own.callbacks, run_folder.tracer.notes)
        self._began = time.monotonic()
        self._evaluator = evaluator or self._documents_evaluator()
        self._trajectories = trajectories or _trajectories(config, run_folder)
        self._graph: Any = build_optimizer().compile(checkpointer=run_folder.saver)
        self._controls: set[RunControl] = set()
        self._caller = run_folder.caller(config)
        self.on_event: Callable[[OptimizationEvent], None] = lambda event: None

    def drain(self, reason: str, *, failed: bool = False, keep_reserved: bool = False) -> None:
        """Begin nothing more, and let every thread stop at its next checkpoint. What was paid for is kept."""
        self.outcome.stop(reason, failed=failed)
        self._evaluator.drain(reason, failed=failed, keep_reserved=keep_reserved)
        if not keep_reserved:
            self._caller.drain()
        for control in self._controls:
            control.request_drain(reason)

    @property
    def endpoints(self) -> list[Endpoint]:
        """The endpoints of all roles, each once."""
        return list({id(model.endpoint): model.endpoint for model in self._caller.roles.values()}.values())

    def report_findings(self, say: Callable[[str], None]) -> None:
        """Say what is known of the endpoints, and whatever is found out about them from now on."""
        for endpoint in self.endpoints:
            endpoint.found.report_to(say)

    async def add_documents(
        self, splits: Mapping[str, Sequence[Document]], named: Mapping[str, str] = FLAGS
    ) -> list[str]:
        """Add the documents of the splits to the folder; those of an earlier session must be the same.

        Returns a line for each near copy across splits, which the outcome notes, too; `named`: as of `near_copies`.
        Raises UserError for a document in two splits, or for splits other than the folder's.
        """
        known = {split: await self.archive.documents(split) for split in SPLITS}
        if any(known.values()):
            require_same(known, splits)
        else:
            require_splits(splits)
            await add_documents(self.ledger, [document for documents in splits.values() for document in documents])
            ids = {split: [document.document_id for document in documents] for split, documents in splits.items()}
            await record_splits(self.ledger, ids)
        copies = await asyncio.to_thread(near_copies, splits, named)
        self.outcome.notes += copies
        return copies

    async def pilot(self, documents: int) -> Outcome:
        """Evaluate the baseline on the first so many validation documents, all that there are at most.

        A search begins with that evaluation, and goes on with what is left of it.
        """
        await self.archive.add_baseline()
        pack, wanted = self._run_folder.pack, await self.archive.documents("validate")

        def enough(done: Sequence[Trial]) -> bool:
            return len(done) >= documents

        evaluation = evaluation_id("validate", pack.version, 0)
        request = EvaluationRequest(evaluation, pack, "validate", 0, tuple(wanted), enough, documents)
        with self._timed():
            await self._guarded(self._evaluator.evaluate(request))
        return self.outcome

    async def run(self) -> Outcome:
        """Search until no iteration is left or something says stop; then open the held-out test, once."""
        await self.archive.add_baseline()
        self._look_for_stop_file()
        if self.outcome.stopped:
            return self.outcome
        search = await self.search()
        workers = sorted(await open_workers(self.ledger) | {*range(self._config.optimize.parallel)})
        try:
            with self._timed():
                async with self._tracked(), asyncio.TaskGroup() as group:
                    for worker in workers:
                        group.create_task(self._guarded(self._worker(search, worker)))
                if not self.outcome.stopped and await self._over():
                    await self._guarded(self.evaluate_held_out(search))
        except ExceptionGroup as failures:
            raise first_failure(failures) from None
        self.outcome.held_out = await held_out_results(self.archive, self.ledger)
        return self.outcome

    @asynccontextmanager
    async def _tracked(self) -> AsyncIterator[None]:
        """Let the trackers follow the session; the id of each tracker's run is kept for the next one."""
        folder, settings = self._run_folder.folder, self._config.resolved(self._run_folder.pack.version)
        earlier = json.loads(await meta_value(self.ledger, TRACKED) or "{}")
        async with tracking(self._own.trackers, self.outcome.notes, folder.name, settings, earlier) as (found, ids):
            if ids != earlier:
                await record_meta(self.ledger, {TRACKED: canonical_json(ids)})
            self._watchers.add(found)
            yield

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Drain once the seconds of the session are over."""
        seconds = self._config.budget.max_seconds
        spent = f"the budget --max-seconds {seconds:g} is spent" if seconds else ""
        timer = asyncio.get_running_loop().call_later(seconds, self.drain, spent) if seconds else None
        try:
            yield
        finally:
            if timer:
                timer.cancel()

    async def _guarded(self, work: Any) -> None:
        """Await what may stop the session; whatever stops it stops all workers, and loses nothing."""
        try:
            await work
        except Exception as error:
            match effect_of(error):
                case Effect.DRAINED:
                    pass
                case Effect.BUDGET_SPENT:
                    self.drain(str(error), keep_reserved=True)
                case Effect.STOPPED | Effect.PAUSED:
                    self.drain(str(error), failed=not isinstance(error, Stopped) or error.failed)
                case Effect.FAILED if isinstance(error, sqlite3.Error):
                    self.drain("the folder failed", failed=True)
                    raise checkpoint_error(self._run_folder.checkpoints, error) from error
                case _:
                    self.drain("an iteration failed", failed=True)
                    raise

    async def _worker(self, search: Search, worker: int) -> None:
        settings, control = self._config.optimize, RunControl()
        self._controls.add(control)
        thread: RunnableConfig = {
            "configurable": {"thread_id": f"lane/{worker}"},
            "recursion_limit": (STEPS + 1) * (settings.iterations + 1) + 10,
        }
        try:
            snapshot = await self._graph.aget_state(thread)
            await self._graph.ainvoke(
                None if snapshot.next else {"lane": worker},
                thread,
                context=OptContext(search, workers=settings.parallel),
                durability="sync",
                control=control,
            )
            await keep_rounds(self._run_folder.saver, f"lane/{worker}", keep=self._config.checkpoints.keep)
        finally:
            self._controls.discard(control)

    async def search(self) -> Search:
        """Return what the optimiser's nodes share in this session."""
        settings = self._config.optimize
        documents = [document for split in SPLITS for document in await self.archive.documents(split)]
        texts = [await self.ledger.get(f"document/{document}") for document in documents]
        return Search(
            settings=settings,
            archive=self.archive,
            evaluator=self._evaluator,
            trajectories=self._trajectories,
            caller=self._caller,
            prompts=await asyncio.to_thread(load_pack, "optimizer"),
            baseline=self._run_folder.pack,
            protected=await asyncio.to_thread(Shingles, texts, settings.ngram),
            run_seed=self._config.seed,
            estimator=self._own.estimator or estimator_of(settings),
            selector=self._own.selector or selector_of(settings),
            acceptance=self._own.acceptance or acceptance_of(settings, len(await self.archive.documents("validate"))),
            proposer=self._own.proposer,
            on_event=self._report,
            over=self._ends,
        )

    def _documents_evaluator(self) -> DocumentEvaluator:
        evaluator = DocumentEvaluator(self._config.of_evaluations, self._run_folder)
        evaluator.on_event = self._report
        self.outcome.errored = evaluator.errored
        return evaluator

    def _report(self, event: OptimizationEvent) -> None:
        self.on_event(event)
        self._watchers.event(event)
        self._look_for_stop_file()

    def _look_for_stop_file(self) -> None:
        file = self._config.optimize.stop_file
        if file is not None and not self.outcome.stopped and file.exists():
            self.drain(f"the stop file {file} is there: remove it to go on")

    async def _ends(self) -> bool:
        """Show the watchers how the search stands, and return whether one of the stoppers ends it."""
        if not self._stoppers and not self._watchers:
            return False
        seconds = time.monotonic() - self._began
        seen = await standing_of(self.ledger, self.archive, self._config.optimize, seconds)
        self._watchers.standing(seen)
        self.outcome.ended = self.outcome.ended or next(filter(None, (stop(seen) for stop in self._stoppers)), "")
        return bool(self.outcome.ended)

    async def _over(self) -> bool:
        """Whether no iteration is left to make: all are made, or a stopper ended the search."""
        return bool(self.outcome.ended) or await count_ended(self.ledger) >= self._config.optimize.iterations

    async def evaluate_held_out(self, search: Search) -> None:
        """Evaluate the baseline and the winner on the test split: once, whatever is searched later."""
        if not await self.archive.documents("test"):
            return
        winner = await meta_value(self.ledger, "sealed")
        if winner is None:
            winner = await self.archive.winner(search.settings)
            await record_meta(self.ledger, {"sealed": winner})
        for version in dict.fromkeys([self._run_folder.pack.version, winner]):
            await examine(search, await self.archive.pack(version), "test", 0, iteration=0)


@asynccontextmanager
async def open_optimization(
    config: OptimizeRunConfig,
    folder: Path,
    progress: Progress | None = None,
    *,
    evaluator: Evaluator | None = None,
    trajectories: Trajectories | None = None,
    models: Mapping[str, BaseChatModel] | None = None,
    own: Own = NOTHING,
) -> AsyncIterator[Optimization]:
    """Open or create an optimisation's folder. Nothing is spent yet. Raises as `open_run_folder`.

    Without an evaluator documents go through the inner graph; without trajectories failures are read from the ledger.
    `models` are chat models of the caller's own, `own` parts of the search. A search goes on by the rules that it was
    begun by: settings that were not there then are those of then.
    """
    _require_ready(config)
    own = replace(own, trackers=[*trackers_of(config.optimize), *own.trackers])
    async with open_run_folder(config, folder, models=models, progress=progress) as run_folder:
        await require_same_parts(run_folder.ledger, own)
        config = as_begun(config, await meta(run_folder.ledger))
        session = Optimization(config, run_folder, evaluator, trajectories, own)
        run_folder.budget.on_spent = partial(session.drain, keep_reserved=True)
        yield session


def _require_ready(config: OptimizeRunConfig) -> None:
    """Raise UserError for what would only fail once the first evaluation is paid for."""
    pack, folder = config.pack(), Path(config.prompts) if config.prompts else config.chosen_domain.folder
    EditSandbox(pack)
    if folder is not None:
        require_own_files(pack, folder.expanduser())
    if config.optimize.traces == "langsmith" and not langsmith_wanted(config.tracing.langsmith):
        raise UserError(
            "optimize.traces = 'langsmith' reads what was traced there: set tracing.langsmith = true and"
            " export LANGSMITH_API_KEY=..."
        )


def _trajectories(config: OptimizeRunConfig, run_folder: RunFolder) -> Trajectories:
    ledger = LedgerTrajectories(run_folder.ledger)
    if config.optimize.traces == "ledger":
        return ledger
    from autodata.runner.optimization.langsmith_failures import LangSmithTrajectories  # noqa: PLC0415 - few need it

    traced = LangSmithTrajectories(project_name(config.tracing.project), run_id=run_folder.tracer.run_id)
    return TracedTrajectories(ledger, traced, run_folder.tracer.notes)


async def held_out_results(archive: LedgerArchive, ledger: Any) -> list[Result]:
    """Return the finished test evaluations, the baseline's first."""
    found = [await archive.result(evaluation) for evaluation in await tests_done(ledger)]
    return [result for result in found if result is not None]
