"""Evaluations of the optimiser, through the runner of `autodata run`: own threads, one journal, one budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from autodata.checkpoints.document_queue import EvaluationQueue
from autodata.checkpoints.errors import Stopped
from autodata.checkpoints.queries.usage import calls_by_document
from autodata.checkpoints.records import DocumentStatus
from autodata.checkpoints.saver import keep_rounds
from autodata.domains.acceptance.checks import NO_CHECKS
from autodata.domains.acceptance.confirming import NO_CONFIRMING
from autodata.graphs.self_instruct import build_self_instruct
from autodata.nodes.optimizer.evaluator import EvaluationRequest, Trial
from autodata.runner.config import RunConfig
from autodata.runner.document_runner import Runner
from autodata.runner.events import TrialEvent
from autodata.runner.run_folder import RunFolder


class DocumentEvaluator:
    """`Evaluator` over real threads of the inner graph, in an open folder."""

    def __init__(self, config: RunConfig, run_folder: RunFolder) -> None:
        self._config, self._run_folder = config, run_folder
        self._graph: Any = build_self_instruct(config.chosen_domain).compile(checkpointer=run_folder.saver)
        self._running: set[Runner] = set()
        self._stopped: tuple[str, bool] | None = None
        self.errored: list[str] = []
        """Documents that errored in this session, each with its evaluation and the reason."""
        self.on_event: Callable[[TrialEvent], None] = lambda event: None

    def drain(self, reason: str, *, failed: bool = False, keep_reserved: bool = False) -> None:
        """Begin nothing more, and let every document in work stop at its next checkpoint."""
        self._stopped = self._stopped or (reason, failed)
        for runner in tuple(self._running):
            runner.drain(reason, failed=failed, keep_reserved=keep_reserved)

    async def evaluate(self, request: EvaluationRequest) -> tuple[Trial, ...]:
        """Run what the evaluation still lacks, batch by batch where it may be stopped early.

        Raises Stopped when the session ends before it is done, and the errors of a run folder.
        """
        everything = request.documents
        whole = EvaluationQueue(self._run_folder.ledger, request.evaluation, everything)
        await whole.add(everything)
        batch = len(everything) if request.lost is None else request.batch
        done: tuple[Trial, ...] = ()
        if request.lost is not None and request.lost(done):
            return done
        for first in range(0, len(everything), batch):
            await self._run(request, everything[first : first + batch])
            done = (await self._trials(whole))[: first + batch]
            if request.lost is not None and len(done) < len(everything) and request.lost(done):
                break
        return done

    async def _run(self, request: EvaluationRequest, documents: tuple[str, ...]) -> None:
        """Take documents to their ends. Raises Stopped."""
        if self._stopped:
            raise Stopped(*self._stopped)
        queue = EvaluationQueue(self._run_folder.ledger, request.evaluation, documents)
        if not await queue.open() and not await queue.unsettled():
            return
        runner = self._runner(request, queue)
        self._running.add(runner)
        try:
            outcome = await runner.run()
        finally:
            self._running.discard(runner)
        # Those whose cause ends the session are reported by it, once.
        self.errored += [f"{request.evaluation}: {line}" for line in outcome.errored if line not in outcome.one_cause]
        if outcome.stopped:
            self.drain(outcome.stopped, failed=outcome.failed)
            raise Stopped(outcome.stopped, outcome.failed)

    def _runner(self, request: EvaluationRequest, queue: EvaluationQueue) -> Runner:
        config, run_folder = self._config, self._run_folder
        caller = run_folder.caller(config, request.block)
        services = run_folder.services(config, queue, caller, pack=request.pack, frozen=run_folder.pack)
        services = replace(services, confirm=NO_CONFIRMING, checks=NO_CHECKS)  # compared as they select
        keep = partial(keep_rounds, run_folder.saver, keep=config.checkpoints.keep)
        runner = Runner(
            config,
            queue,
            self._graph,
            services,
            checkpoints=run_folder.checkpoints,
            keep=keep,
            tracer=run_folder.tracer,
        )
        runner.on_event = lambda event: self.on_event(TrialEvent(request.evaluation, event))
        caller.on_call = runner.note_call
        return runner

    async def _trials(self, queue: EvaluationQueue) -> tuple[Trial, ...]:
        """Return the trials so far, up to the first that is still pending, with the calls that each of them took."""
        of_document = await calls_by_document(self._run_folder.ledger, queue.evaluation)
        found: list[Trial] = []
        for row in await queue.trials():
            if row["status"] == DocumentStatus.PENDING:
                break
            status, document = DocumentStatus(row["status"]), row["document_id"]
            found.append(Trial(document, status, row["rounds"], of_document.get(document, 0)))
        return tuple(found)
