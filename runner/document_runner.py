"""The document runner: many documents through the graph at once, resumable at any instant.

The ledger says which documents are open, checkpoints say where each stands, the journal what is already paid.
"""

from __future__ import annotations

import asyncio
import sqlite3
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from langgraph.runtime import RunControl, Runtime

from autodata.checkpoints.document_queue import DocumentQueue
from autodata.checkpoints.errors import CallFailed, Effect, InfrastructureError, effect_of
from autodata.checkpoints.queries.corrections import rounds_before
from autodata.checkpoints.queries.documents import answered_documents
from autodata.checkpoints.records import Document, DocumentStatus
from autodata.checkpoints.saver import checkpoint_error, keep_rounds
from autodata.checkpoints.writes import record_opened
from autodata.graphs.self_instruct import steps_for
from autodata.models.call import CallSite
from autodata.models.caller import Reply
from autodata.models.endpoint import Endpoint
from autodata.models.known_secrets import without_secrets
from autodata.models.local.serving import Progress
from autodata.nodes.context import NOTHING, Context, Services
from autodata.nodes.early_marks import EarlyMarks
from autodata.nodes.events import AcceptedEvent, GraphEvent, ReviewEvent, parse_event
from autodata.nodes.state import new_state
from autodata.nodes.step import Step
from autodata.runner.built import graph_of, services_of
from autodata.runner.collector import calm_collector
from autodata.runner.config import RunConfig
from autodata.runner.dataset import DatasetLoop
from autodata.runner.events import (
    CallEvent,
    DrainedEvent,
    EndedEvent,
    ErroredEvent,
    RunEvent,
    StartedEvent,
    WaitingEvent,
)
from autodata.runner.outcome import InARow, Outcome, first_failure
from autodata.runner.pending_reviews import answer_to
from autodata.runner.run_folder import open_run_folder
from autodata.runner.side_by_side import documents_at_once
from autodata.runner.target import Target
from autodata.tracing.tracer import Tracer

_R = TypeVar("_R", bound="Runner")


class Runner:
    """One session of a run: take up every open document until all have ended or something says stop."""

    together: ClassVar[bool] = False
    """Whether other sessions may work on the same run."""

    def __init__(
        self,
        config: RunConfig,
        queue: DocumentQueue,
        graph: Any,
        services: Services,
        *,
        checkpoints: Path,
        keep: Callable[[str], Awaitable[None]],
        tracer: Tracer,
    ) -> None:
        self._config, self._queue, self._graph, self._services = config, queue, graph, services
        self.ledger = queue.ledger
        self._checkpoints, self._keep, self._tracer = checkpoints, keep, tracer
        self._controls: set[RunControl] = set()
        self._in_a_row = InARow(config.retries.pause_after_documents)
        self._unanswered: dict[str, str] = {}  # errored for want of a reply: document_id -> its line in outcome.errored
        self._target = Target(config.target)
        self.outcome = Outcome(notes=tracer.notes)
        self.on_event: Callable[[RunEvent], None] = lambda event: None
        self.only: Collection[str] | None = None
        """The ids of the documents to take up; None for all that are open."""
        self._rounds_before: dict[str, int] = {}
        self.loop: DatasetLoop | None = None
        """The outer loop, in a run with lessons."""
        self.marks_early = True
        """Whether an attempt is marked while others are being made; else the verifier begins once all are made."""

    def drain(self, reason: str, *, failed: bool = False, keep_reserved: bool = False) -> None:
        """Take up nothing more and let every document in work stop at its next checkpoint.

        Calls that were not sent yet stay unsent, unless `keep_reserved`: a budget has counted them in already.
        """
        self.outcome.stop(reason, failed=failed)
        if not keep_reserved:
            self._services.caller.drain()
        for control in self._controls:
            control.request_drain(reason)

    @property
    def endpoints(self) -> list[Endpoint]:
        """The endpoints of all roles, each once."""
        return list({id(model.endpoint): model.endpoint for model in self._services.caller.roles.values()}.values())

    def note_call(self, site: CallSite, reply: Reply) -> None:
        """Pass a completed call on to whoever watches."""
        self.on_event(CallEvent(site.document_id, site.role, reply))

    def report_findings(self, say: Callable[[str], None]) -> None:
        """Say what is known of the endpoints, and whatever is found out about them from now on."""
        for found in {
            id(model.endpoint): model.endpoint.found for model in self._services.caller.roles.values()
        }.values():
            found.report_to(say)

    async def run(self) -> Outcome:
        """Run all open documents, `documents_at_once` at a time."""
        await self._target.begin(self.ledger, latest=self.only is None)
        if reached := self._target.reached:
            self.drain(reached)
        self._rounds_before = await rounds_before(self.ledger)
        rows = await self._queue.open(self._config.limit)
        rows += await answered_documents(self.ledger)
        if self.only is not None:
            rows = [row for row in rows if row["document_id"] in self.only]
        try:
            if self.loop:
                await self.loop.look_up()
            await self._settle_ended()
        except sqlite3.Error as error:
            raise checkpoint_error(self._checkpoints, error) from error
        seconds = self._config.budget.max_seconds
        timer = (
            asyncio.get_running_loop().call_later(seconds, self.drain, f"the budget --max-seconds {seconds:g} is spent")
            if seconds
            else None
        )

        try:
            with calm_collector():
                if self.loop and not rows and self.only is None:
                    await self.loop.work_on(rows)
                while rows:
                    await (self.loop.work_on(rows) if self.loop else self.walk_all(rows))
                    # What a person answered meanwhile goes on in this session.
                    over = self.outcome.stopped or self.only is not None
                    rows = [] if over else await answered_documents(self.ledger)
        except ExceptionGroup as failures:
            raise first_failure(failures) from None
        finally:
            if timer:
                timer.cancel()
        return self.outcome

    async def begin_at(self, document_id: str, state: Mapping[str, Any], after: str) -> None:
        """Start a document's thread in the midst: with this state, as if the node `after` had just returned it."""
        await self._graph.aupdate_state(self._thread(document_id), dict(state), as_node=after)
        closed = any(row["n"] == state["n"] for row in state.get("rounds", ()))
        if state.get("candidate") and not closed:
            values: Any = state
            step = Step(values, Runtime(context=self._context(document_id, 0)))
            await record_opened(self._services.store, step.opening())

    async def walk_all(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take documents through the loop, so many at a time, until all have ended or something says stop."""
        waiting = iter(rows)

        async def work() -> None:
            for row in waiting:
                if self.outcome.stopped:
                    return
                await self._document(row)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(documents_at_once(self._config), len(rows))):
                group.create_task(work())

    async def _document(self, row: Mapping[str, Any]) -> None:
        control = RunControl()
        self._controls.add(control)
        try:
            await self._walk(row, control)
        except Exception as error:  # noqa: BLE001 - one document's defect must not end the others; it is recorded whole
            await self._ended_by(row, error)
        finally:
            self._controls.discard(control)

    async def session_ended_by(self, error: Exception) -> None:
        """Do what follows from an error of a call that is no document's. Raises it where it is nobody's to wait for."""
        match effect_of(error):
            case Effect.DRAINED:
                pass
            case Effect.BUDGET_SPENT:
                self.drain(str(error), keep_reserved=True)
            case Effect.PAUSED:
                await self._pause(str(error))
            case Effect.STOPPED | Effect.ERRORED if isinstance(error, InfrastructureError):
                self.drain(" ".join(str(error).split()), failed=True)
            case _:
                raise error

    async def _ended_by(self, row: Mapping[str, Any], error: Exception) -> None:
        """Do what follows from what ended a document's walk. Raises what ends the session."""
        match effect_of(error):
            case Effect.DRAINED:
                self.on_event(DrainedEvent(row["document_id"]))
            case Effect.BUDGET_SPENT:
                self.drain(str(error), keep_reserved=True)
            case Effect.PAUSED:
                await self._pause(str(error))
            case Effect.USER | Effect.FAILED:
                self.drain("the run folder failed", failed=True)
                if isinstance(error, sqlite3.Error):  # the ledger names its own; this is the checkpoint file
                    raise checkpoint_error(self._checkpoints, error) from error
                raise error
            case Effect.STOPPED | Effect.ERRORED | Effect.BAD_STATE | Effect.DEFECT:
                # Of calls side by side, or at two endpoints, one may be out of attempts before another finds the
                # reason.
                unanswered = isinstance(error, CallFailed) and not error.refused
                roles = self._services.caller.roles.values() if unanswered else ()
                down = next((model.endpoint.down for model in roles if model.endpoint.down), None)
                await (self._pause(down) if down else self._errored(row, error))

    async def _walk(self, row: Mapping[str, Any], control: RunControl) -> None:
        """Take a document from where its checkpoint left it to its end."""
        document_id, epoch = row["document_id"], row["epoch"]
        epoch += row["status"] == DocumentStatus.ERRORED
        if row["status"] != DocumentStatus.PENDING:
            await self._queue.record_status(document_id, DocumentStatus.PENDING, epoch=epoch)
        thread = self._thread(document_id)
        snapshot = await self._reopened(thread)
        text = await self.ledger.get(f"document/{document_id}")
        document = Document(document_id=document_id, name=row["name"], title=row["title"], text=text)
        start: Any = await answer_to(self.ledger, snapshot) if snapshot.next else new_state(document)
        self.on_event(StartedEvent(document_id, row["name"], resumed=bool(snapshot.next)))
        version = self._services.pack.version
        with self._tracer.document(self._thread_id(document_id), document, epoch, version) as callbacks:
            async with EarlyMarks() as early:
                stream = self._graph.astream(
                    start,
                    {**thread, "callbacks": callbacks},
                    context=replace(self._context(document_id, epoch), early_marks=early if self.marks_early else None),
                    stream_mode="custom",
                    durability="sync",
                    control=control,
                )
                async with aclosing(stream) as events:
                    async for event in events:
                        self._on_event(parse_event(event))
        self._in_a_row.ended()
        if self._services.review.mode != "none" and (await self._graph.aget_state(thread)).next:
            await self._queue.record_status(document_id, DocumentStatus.WAITING)
            self.on_event(WaitingEvent(document_id))
            return
        await self._settled(document_id)
        self.on_event(EndedEvent(document_id))

    async def _settle_ended(self) -> None:
        """Finish the threads of documents whose end is recorded: a kill came in between. Replies are all replayed."""
        for row in await self._queue.unsettled():
            await self._settle(row["document_id"], row["epoch"])

    async def _settle(self, document_id: str, epoch: int) -> None:
        thread = self._thread(document_id)
        if (await self._position(thread)).next:
            await self._graph.ainvoke(None, thread, context=self._context(document_id, epoch), durability="sync")
        await self._settled(document_id)

    async def _settled(self, document_id: str) -> None:
        await self._keep(self._thread_id(document_id))
        await self._queue.record_settled(document_id)

    async def _reopened(self, thread: RunnableConfig) -> Any:
        """Return where an open document's thread stands; one that had ended rejected goes on behind its last round."""
        snapshot = await self._position(thread)
        if snapshot.next or snapshot.values.get("status") != DocumentStatus.REJECTED:
            return snapshot
        await self._graph.aupdate_state(thread, {"status": "", "status_reason": ""}, as_node="feedback")
        return await self._graph.aget_state(thread)

    async def _position(self, thread: RunnableConfig) -> Any:
        """Return where a thread stands.

        A step that was cut off between its node and its router has nothing next: it is done again, from the state
        before it, and finds again all that was paid for or answered. To begin anew would lose what a fork changed.
        """
        snapshot = await self._graph.aget_state(thread)
        if snapshot.next or not snapshot.values or snapshot.values.get("status"):
            return snapshot
        await self._graph.aupdate_state(thread, None, as_node="__copy__")
        return await self._graph.aget_state(thread)

    def _context(self, document_id: str, epoch: int) -> Context:
        before = self._rounds_before.get(document_id, 0)
        shown = self.loop.of(document_id) if self.loop else NOTHING
        return Context(
            self._services, evaluation=self._queue.evaluation, epoch=epoch, rounds_before=before, shown_lessons=shown
        )

    def _thread_id(self, document_id: str) -> str:
        return f"{self._queue.evaluation}/{document_id}"

    def _thread(self, document_id: str) -> RunnableConfig:
        return {
            "configurable": {"thread_id": self._thread_id(document_id)},
            "recursion_limit": self._steps(document_id),
        }

    def _on_event(self, event: GraphEvent) -> None:
        self.on_event(event)
        if isinstance(event, ReviewEvent) and (wrong := event.question["error"]):
            self.outcome.errored.append(f"{event.question['document']}: the answer cannot be used: {wrong}")
        if isinstance(event, AcceptedEvent):
            self._target.count(event.example.candidate)
            if reached := self._target.reached:
                self.drain(reached)

    async def _errored(self, row: Mapping[str, Any], error: Exception) -> None:
        document_id, epoch = row["document_id"], row["epoch"] + (row["status"] == DocumentStatus.ERRORED)
        known = isinstance(error, InfrastructureError)
        kind = error.kind if isinstance(error, InfrastructureError) else "defect"
        message = without_secrets(str(error) if known else "".join(traceback.format_exception(error)))
        brief = " ".join(without_secrets(str(error)).split())[:300] or type(error).__name__
        line = f"{row['name']}: {kind}: {brief}"
        # Noted before anything is waited for: whoever finds the endpoint down meanwhile must know of this document.
        self.outcome.errored.append(line)
        if isinstance(error, CallFailed) and not error.refused:
            self._unanswered[document_id] = line
        await self._queue.record_failure(document_id, epoch, kind, message, brief)
        self.on_event(ErroredEvent(document_id, row["name"], f"{kind}: {brief}"))
        self._pause_for_one_cause(kind, brief, line)

    def _pause_for_one_cause(self, kind: str, brief: str, line: str) -> None:
        """Drain once so many documents in a row errored for the same cause: so would the next ones."""
        reason = self._in_a_row.errored(kind, brief, line)
        if reason and self.outcome.has_one_cause(self._in_a_row.lines):
            self.drain(reason, failed=True)

    async def _pause(self, reason: str) -> None:
        """Drain, for an endpoint is down: what errored in this session for want of a reply is pending again."""
        self.drain(reason, failed=True)
        reopened, self._unanswered = self._unanswered, {}
        if reopened:
            self.outcome.errored = [line for line in self.outcome.errored if line not in reopened.values()]
            await self._queue.record_reopened([*reopened])

    def _steps(self, document_id: str) -> int:
        domain, before = self._services.domain, self._rounds_before.get(document_id, 0)
        return steps_for(self._config.max_rounds + before, domain.weak_attempts + domain.strong_attempts)


@asynccontextmanager
async def open_runner(
    config: RunConfig,
    folder: Path,
    *,
    models: Mapping[str, BaseChatModel] | None = None,
    progress: Progress | None = None,
) -> AsyncIterator[Runner]:
    """Open or create a run folder and the runner of a session. `models` and errors: as `open_run_folder`."""
    async with open_runner_of(Runner, config, folder, models=models, progress=progress) as runner:
        yield runner


@asynccontextmanager
async def open_runner_of(
    kind: type[_R],
    config: RunConfig,
    folder: Path,
    *,
    models: Mapping[str, BaseChatModel] | None = None,
    progress: Progress | None = None,
) -> AsyncIterator[_R]:
    """Open a runner of some kind, as `open_runner`."""
    async with open_run_folder(config, folder, models=models, progress=progress, together=kind.together) as run_folder:
        queue = DocumentQueue(run_folder.ledger)
        caller = run_folder.caller(config)
        services = services_of(config, run_folder.ledger, run_folder.services(config, queue, caller))
        graph = graph_of(config).compile(checkpointer=run_folder.saver)
        keep = partial(keep_rounds, run_folder.saver, keep=config.checkpoints.keep)
        runner = kind(
            config, queue, graph, services, checkpoints=run_folder.checkpoints, keep=keep, tracer=run_folder.tracer
        )
        caller.on_call = runner.note_call
        if config.lessons.enabled:
            runner.loop = DatasetLoop(runner, config.lessons, caller, await asyncio.to_thread(config.lessons_pack))
        run_folder.budget.on_spent = partial(runner.drain, keep_reserved=True)
        yield runner
