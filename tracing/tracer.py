"""The tracer: the run tree from document to call, kept in the ledger and handed to exporters.

It never fails a run and never waits for anybody: rows travel with the transactions that nodes and calls make anyway,
so they outlive a kill as the calls do, and exporters send in threads of their own. Texts are not copied into the
ledger: a call's span holds the key of its row in the journal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langgraph.errors import GraphDrained
from langsmith.run_helpers import tracing_context

from autodata.checkpoints.errors import BudgetSpent, Drained, EndpointDown
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries.whole import round_record
from autodata.checkpoints.records import Document
from autodata.checkpoints.usage import MAY_BE_BILLED
from autodata.checkpoints.writes import carry_span
from autodata.models.call import Call
from autodata.tracing.callback import DocumentTrace
from autodata.tracing.redact import Redactor
from autodata.tracing.spans import Exporter, Score, Span, SpanKind, SpanStatus, never_raises, without_empty

STOPPED = (GraphDrained, Drained, BudgetSpent, EndpointDown, asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)
"""What ends a session rather than a document."""
ERROR_CHARS = 500

logger = logging.getLogger(__name__)


class Tracer:
    """Makes the spans of one session. `base` is the metadata that all of them carry."""

    def __init__(
        self,
        ledger: Ledger,
        redactor: Redactor,
        *,
        local: bool = True,
        exporters: Sequence[Exporter] = (),
        base: Mapping[str, Any] | None = None,
        exit_seconds: float = 5.0,
    ) -> None:
        self.notes: list[str] = []
        """What a person must know at the end, filled by `close`."""
        self._ledger, self._redactor, self._local = ledger, redactor, local
        self._exporters, self._base, self._exit_seconds = exporters, dict(base or {}), exit_seconds
        self.run_id: str | None = self._base.get("run_id")
        """What distinguishes this folder's runs from others in a project; None where nothing is exported."""
        self._threads: dict[str, DocumentTrace] = {}
        self._calls: dict[int, Span] = {}  # id of a call on its way -> its span
        self._gathering: set[asyncio.Task[None]] = set()
        self._failures: dict[str, tuple[int, Exception]] = {}  # exporter -> how often it raised, and what first

    @property
    def _active(self) -> bool:
        return self._local or bool(self._exporters)

    @contextmanager
    def document(
        self, thread_id: str, document: Document, epoch: int = 0, prompt_version: str = ""
    ) -> Iterator[list[BaseCallbackHandler]]:
        """Trace one document's walk in one session; the value goes into the graph's `callbacks`.

        `prompt_version` is the prompt pack's, where it is not the run's own.

        LangChain's own tracing, which LANGSMITH_TRACING=true would switch on, is off meanwhile: it would send all
        twice, and not redacted.
        """
        with tracing_context(enabled=False):
            if not self._active:
                yield []
                return
            root = Span(SpanKind.DOCUMENT, document.name, thread_id, document.document_id, epoch=epoch)
            root.inputs = {"document_id": document.document_id, "name": document.name, "title": document.title}
            root.metadata = without_empty({"document": document.name, "prompt_version": prompt_version})
            trace = self._threads[thread_id] = DocumentTrace(self, root)
            self.start(root)
            ended: BaseException | None = None
            try:
                yield [trace]
            except BaseException as error:  # noted, and raised as it is
                ended = error
                raise
            finally:
                del self._threads[thread_id]
                trace.close(ended)

    @never_raises
    def start(self, span: Span) -> None:
        """Begin a span."""
        if self._exporters:  # the ledger keeps neither
            span.metadata = {**self._base, **self._named(span), **span.metadata}
            span.tags = ["autodata", *span.tags, *(f"{name}:{value}" for name, value in self._tagged(span).items())]
        self._keep(span)
        if span.kind is not SpanKind.CALL:
            self._export(lambda exporter: exporter.started(span))

    @never_raises
    def end(self, span: Span, error: BaseException | None = None) -> None:
        """End a span: well, or with the error that ended it."""
        if span.ended is not None:
            return
        span.ended = datetime.now(UTC)
        if error is not None:
            span.status = SpanStatus.STOPPED if isinstance(error, STOPPED) else SpanStatus.ERROR
            reason = error.reason if isinstance(error, GraphDrained) else str(error)
            span.error = self._brief(reason or type(error).__name__)
        elif span.status is SpanStatus.OPEN:
            span.status = SpanStatus.OK
        self._finish(span)

    @never_raises
    def end_round(self, span: Span, round_id: str) -> None:
        """End a round's span; where it leaves the machine, with all that the ledger knows of the round."""
        span.ended, span.status = datetime.now(UTC), SpanStatus.OK
        if not self._exporters:
            self._finish(span)
            return
        self._keep(span)
        task = asyncio.get_running_loop().create_task(self._gathered(span, round_id))
        self._gathering.add(task)
        task.add_done_callback(self._gathering.discard)

    @never_raises
    def score(self, span: Span, score: Score) -> None:
        """Attach a figure to a span."""
        self._export(lambda exporter: exporter.scored(span, score))

    @never_raises
    def call_started(self, call: Call) -> None:
        """Begin the span of a call that is about to be sent."""
        if self._active:
            self._calls[id(call)] = self._begun(call)

    @never_raises
    def call_ended(self, call: Call) -> None:
        """End the span of a call; one that was replayed is begun and ended at once."""
        if not self._active:
            return
        span = self._calls.pop(id(call), None) or self._begun(call)
        span.requests = call.requests
        if reply := call.reply:
            span.replayed = reply.replayed
            span.tokens_in, span.tokens_out, span.cost_usd = reply.tokens_in, reply.tokens_out, reply.cost_usd
            span.tokens_cached, span.tokens_reasoning = reply.tokens_cached, reply.tokens_reasoning
            span.outcome = "cut off" if reply.truncated else ""
            span.outputs = {"role": "assistant", "content": reply.text, "finish_reason": reply.finish_reason}
            span.metadata |= {"replayed": reply.replayed, "finish_reason": reply.finish_reason}
        elif call.unanswered:
            span.outcome = MAY_BE_BILLED
        if call.unusable:
            span.status, span.error = SpanStatus.UNUSABLE, self._brief(call.unusable)
        if trace := self._threads.get(call.site.thread_id):
            trace.answered(span, call)
        self.end(span, call.error)

    async def close(self) -> None:
        """Send what is left, for at most the configured time, and say what could not be sent."""
        if self._gathering:
            await asyncio.wait(self._gathering, timeout=self._exit_seconds)
        if late := len(self._gathering):
            self.notes.append(f"traces: {late:,} rounds were not sent; the run itself is whole")
        for task in self._gathering:
            task.cancel()
        closing = (asyncio.to_thread(exporter.close, self._exit_seconds) for exporter in self._exporters)
        notes = await asyncio.gather(*closing, return_exceptions=True)
        for exporter, note in zip(self._exporters, notes, strict=True):
            if isinstance(note, Exception):
                self._failed(exporter, note)
            elif isinstance(note, str) and note:
                self.notes.append(self._redactor.text(note))
        for name, (count, error) in self._failures.items():
            why = self._brief(str(error) or type(error).__name__)
            self.notes.append(f"{name}: {count:,} pieces of the trace were lost ({why}); the run itself is whole")

    def _export(self, hand_over: Callable[[Exporter], None]) -> None:
        """Hand something to each exporter; what one of them raises is reported at the end, and stops no other."""
        for exporter in self._exporters:
            try:
                hand_over(exporter)
            except Exception as error:  # noqa: BLE001 - an exporter may be anybody's
                self._failed(exporter, error)

    def _failed(self, exporter: Exporter, error: Exception) -> None:
        count, first = self._failures.get(exporter.name, (0, error))
        self._failures[exporter.name] = (count + 1, first)

    def _begun(self, call: Call) -> Span:
        site, settings = call.site, call.settings
        trace = self._threads.get(site.thread_id)
        span = Span(
            SpanKind.CALL, site.role, site.thread_id, site.document_id, trace.parent_of(call) if trace else None
        )
        span.n, span.role, span.idx = site.n, site.role, site.index
        span.number, span.epoch = call.number, call.epoch
        span.model, span.call_key = settings.shown, call.key
        if not self._exporters:
            self.start(span)
            return span
        span.inputs = {"messages": call.messages}
        span.metadata = call.metadata | {
            "ls_provider": settings.provider,
            "ls_model_name": settings.shown,
            "ls_model_type": "chat",
            "ls_max_tokens": settings.max_tokens,
            **without_empty(
                {"ls_temperature": settings.temperature, "top_p": settings.top_p, "base_url": settings.base_url}
            ),
            "seed": call.params.get("seed"),
        }
        self.start(span)
        return span

    async def _gathered(self, span: Span, round_id: str) -> None:
        try:
            span.outputs = await round_record(self._ledger, round_id)
        except Exception:  # an export without texts is better than none
            logger.debug("the round %s could not be read", round_id, exc_info=True)
        self._finish(span)

    @never_raises
    def _finish(self, span: Span) -> None:
        span.outcome = self._brief(span.outcome)
        span.metadata |= {"status": span.status.value} | without_empty({"outcome": span.outcome})
        self._keep(span)
        self._export(lambda exporter: exporter.ended(span))

    def _named(self, span: Span) -> dict[str, Any]:
        """What a span can be filtered by."""
        named: dict[str, Any] = {"kind": span.kind.value, "thread": span.thread_id}
        named |= {
            "evaluation": span.thread_id.partition("/")[0],
            "document_id": span.document_id,
            "round": span.n,
            "epoch": span.epoch,
        }
        named |= {name: span.root.metadata.get(name) for name in ("document", "prompt_version")}
        # LangSmith shows the sessions of one document together by it.
        named["thread_id"] = f"{self._base.get('run_id', '')}:{span.thread_id}"
        return without_empty(named)

    def _tagged(self, span: Span) -> dict[str, Any]:
        return without_empty(
            {name: span.metadata.get(name) for name in ("kind", "evaluation", "domain", "role", "node")}
        )

    def _keep(self, span: Span) -> None:
        if self._local:
            with suppress(ValueError, TypeError):  # a value that no column can hold
                carry_span(self._ledger, span.record())

    def _brief(self, text: str) -> str:
        text = " ".join(self._redactor.text(text).split())
        return text if len(text) <= ERROR_CHARS else text[: ERROR_CHARS - 1] + "…"
