"""An optimisation in its folder: three splits of documents, workers of the optimiser's graph, a held-out test."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Self

from langchain_core.runnables import RunnableConfig
from langgraph.runtime import RunControl

from autodata.checkpoints.errors import Effect, Stopped, UserError, effect_of
from autodata.checkpoints.ids import whole_id
from autodata.checkpoints.queries.meta import meta, meta_value
from autodata.checkpoints.queries.searches import count_ended, open_workers, tests_done
from autodata.checkpoints.records import Document
from autodata.checkpoints.saver import checkpoint_error, keep_rounds
from autodata.checkpoints.shingles import ShingleIndex
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
from autodata.runner.optimization.evaluator import DocumentEvaluator
from autodata.runner.optimization.failures import LedgerTrajectories, TracedTrajectories
from autodata.runner.outcome import Outcome, first_failure
from autodata.runner.run_folder import RunFolder, open_run_folder
from autodata.tracing.langsmith import langsmith_wanted, project_name

SPLITS = ("train", "validate", "test")


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
        return {**super().resolved(prompt_version), "optimize": self.optimize.model_dump(mode="json")}

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
    ) -> None:
        self._config, self._run_folder = config, run_folder
        self.ledger, self.outcome = run_folder.ledger, Outcome(notes=run_folder.tracer.notes)
        self.archive = LedgerArchive(run_folder.ledger, run_folder.pack, run_folder.ledger, batch=config.optimize.wave)
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

    async def add_documents(self, splits: Mapping[str, Sequence[Document]]) -> None:
        """Add the documents of the splits to the folder; those of an earlier session must be the same.

        Raises UserError for a document in two splits, or for splits other than the folder's.
        """
        known = {split: await self.archive.documents(split) for split in SPLITS}
        if any(known.values()):
            _require_same(known, splits)
            return
        require_splits(splits)
        await add_documents(self.ledger, [document for documents in splits.values() for document in documents])
        ids = {split: [document.document_id for document in documents] for split, documents in splits.items()}
        await record_splits(self.ledger, ids)
        self.outcome.notes += await asyncio.to_thread(near_copies, splits)

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
        search = await self.search()
        workers = sorted(await open_workers(self.ledger) | {*range(self._config.optimize.parallel)})
        try:
            with self._timed():
                async with asyncio.TaskGroup() as group:
                    for worker in workers:
                        group.create_task(self._guarded(self._worker(search, worker)))
                if not self.outcome.stopped and await self._over():
                    await self._guarded(self.evaluate_held_out(search))
        except ExceptionGroup as failures:
            raise first_failure(failures) from None
        self.outcome.held_out = await held_out_results(self.archive, self.ledger)
        return self.outcome

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
            estimator=estimator_of(settings),
            selector=selector_of(settings),
            acceptance=acceptance_of(settings, len(await self.archive.documents("validate"))),
            on_event=self._report,
        )

    def _documents_evaluator(self) -> DocumentEvaluator:
        evaluator = DocumentEvaluator(self._config.of_evaluations, self._run_folder)
        evaluator.on_event = self._report
        self.outcome.errored = evaluator.errored
        return evaluator

    def _report(self, event: OptimizationEvent) -> None:
        self.on_event(event)

    async def _over(self) -> bool:
        return await count_ended(self.ledger) >= self._config.optimize.iterations

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
) -> AsyncIterator[Optimization]:
    """Open or create an optimisation's folder. Nothing is spent yet. Raises as `open_run_folder`.

    Without an evaluator documents go through the inner graph; without trajectories failures are read from the ledger.
    A search goes on by the rules that it was begun by: settings that were not there then are those of then.
    """
    _require_ready(config)
    async with open_run_folder(config, folder, progress=progress) as run_folder:
        config = as_begun(config, await meta(run_folder.ledger))
        session = Optimization(config, run_folder, evaluator, trajectories)
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


def require_splits(splits: Mapping[str, Sequence[Document]]) -> None:
    """Raise UserError unless there are documents to train and to validate with, and none is in two splits."""
    for split in ("train", "validate"):
        if not splits.get(split):
            raise UserError(f"no documents to {split} with: give --{split} PATH")
    seen: dict[str, tuple[str, str]] = {}
    for split, documents in splits.items():
        for document in documents:
            # Parts of one document are alike, whichever of them are in a split.
            other, name = seen.setdefault(whole_id(document.document_id), (split, document.name))
            if other != split:
                raise UserError(
                    f"{document.name} is in --{other} (as {name}) and in --{split}: keep held-out documents out"
                )


def near_copies(splits: Mapping[str, Sequence[Document]]) -> list[str]:
    """Return a line for every document that is nearly one of another split: what is held back must not be known."""
    index: ShingleIndex[tuple[str, str]] = ShingleIndex()
    found = []
    for split, documents in splits.items():
        for document in documents:
            other = index.nearest(document.text)
            if other is not None:
                name, of = other[1], other[0]
                found.append(
                    f"{document.name} of --{split} is nearly the same as {name} of --{of}: a held-out score that rests"
                    " on it flatters; leave one of them out"
                )
        for document in documents:
            index.add((split, document.name), document.text)
    return found


def _require_same(known: Mapping[str, Sequence[str]], splits: Mapping[str, Sequence[Document]]) -> None:
    for split, documents in splits.items():
        if documents and [document.document_id for document in documents] != list(known[split]):
            raise UserError(
                f"--{split} names other documents than this search began with: use another --out, or leave it out"
            )
