"""Traces to LangSmith: its own client, in a thread of ours, so that a dead endpoint costs neither the run nor its exit.

The client makes the requests; runs go by its `multipart_ingest`. What it has no setting for is done here:
- Its own background threads are not used: Python waits for them at exit, however long they try, and what they could
  not send they drop with a line in a log. The export queue waits `exit_seconds`, and says how much was lost.
- It redacts by an anonymizer that walks inputs, outputs and metadata, but neither names, tags, errors nor feedback.
- Feedback in batches: `create_feedback` sends one request each where those threads do not run.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import requests
from langsmith import Client, utils
from langsmith.schemas import FeedbackCreate, ModelFeedbackSource
from urllib3.util import Retry

from autodata.checkpoints.errors import UserError
from autodata.tracing.config import TracingConfig
from autodata.tracing.export_queue import Delivery, ExportQueue
from autodata.tracing.redact import Redactor
from autodata.tracing.spans import Score, Span, SpanKind, SpanStatus

CONNECT_MS, READ_MS = 3_000, 10_000

_LATER = (
    utils.LangSmithConnectionError,
    utils.LangSmithRequestTimeout,
    utils.LangSmithAPIError,
    utils.LangSmithRateLimitError,
    requests.Timeout,
)


_OF_OLD = ("LANGCHAIN_TRACING", "LANGCHAIN_HANDLER")


def langsmith_asked(configured: bool | None) -> bool:
    """Return whether traces were asked for, by `tracing.langsmith` or the environment. A key alone asks for nothing.

    A variable that says anything but true, and a setting that is false, switch it off whatever the other one says.
    """
    said = [os.environ.get(name, "").strip().lower() for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2")]
    word = next((word for word in said if word), "")
    return configured is not False and (word == "true" or (configured is True and not word))


def langsmith_wanted(configured: bool | None) -> bool:
    """Return whether traces go to LangSmith: they were asked for, and there is a key."""
    return langsmith_asked(configured) and has_key()


def has_key() -> bool:
    """Return whether the environment holds a key of LangSmith."""
    return any(os.environ.get(name, "").strip() for name in ("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY"))


def project_name(given: str | None) -> str:
    """Return the project that is traced to: the given one, else the environment's, else `default`."""
    return given or utils.get_tracer_project() or "default"


def open_client(**options: Any) -> Client:
    """Return a client of the environment's endpoint that starts no threads and waits seconds, not minutes."""
    logging.getLogger("langsmith").addHandler(logging.NullHandler())  # else its warnings go to the terminal
    return Client(
        auto_batch_tracing=False,
        omit_traced_runtime_info=True,
        tracing_mode="langsmith",
        timeout_ms=(CONNECT_MS, READ_MS),
        retry_config=Retry(0),
        **options,
    )


@dataclass(frozen=True)
class _Posted:
    """A run, new or changed."""

    run: Mapping[str, Any]
    new: bool


_Item = _Posted | FeedbackCreate


class LangSmithExporter:
    """Runs with their tags and metadata, and scores as feedback on the right runs."""

    name = "LangSmith"

    def __init__(self, redactor: Redactor, *, project: str | None = None, texts: bool = True) -> None:
        """Send to the project given, else to that of the environment."""
        self.project = project_name(project)
        self._redactor, self._texts = redactor, texts
        self._problem: Exception | None = None
        self._unscored = 0
        self._one_by_one = False
        self._client = open_client(tracing_error_callback=self._note)
        self._project_id: UUID | None = None
        self._queue: ExportQueue[_Item] = ExportQueue("autodata-langsmith", self._deliver)

    def started(self, span: Span) -> None:
        """Post a run that goes on."""
        self._put(_Posted(self._run(span), new=True), span)

    def ended(self, span: Span) -> None:
        """Post a call, whole; of all others send the end."""
        new = span.kind is SpanKind.CALL
        self._put(_Posted(self._run(span) | self._end(span), new=new), span)

    def scored(self, span: Span, score: Score) -> None:
        """Send a figure as feedback."""
        now = datetime.now(UTC)
        source = ModelFeedbackSource(metadata={"by": "autodata"})
        feedback = FeedbackCreate(
            id=uuid5(span.span_id, score.key),
            run_id=span.span_id,
            trace_id=span.root.span_id,
            key=score.key,
            score=None if score.score is None else round(score.score, 4),
            value=score.value,
            comment=self._redactor.text(score.comment) if score.comment and self._texts else None,
            feedback_source=source,
            created_at=now,
            modified_at=now,
        )
        self._queue.put(feedback)

    def close(self, seconds: float) -> str:
        """Send what is left for at most so many seconds."""
        lost = self._queue.close(seconds)
        self._client.close(timeout=0)
        why = f" ({_brief(self._problem)})" if self._problem else ""
        if lost:
            return f"LangSmith: {lost:,} pieces of the trace were not sent{why}; the run itself is whole"
        if self._unscored:
            return f"LangSmith: {self._unscored:,} scores were not taken{why}; the run itself is whole"
        return f"traced to LangSmith, project {self.project}"

    def _put(self, item: _Posted, span: Span) -> None:
        size = sum(len(message["content"]) for message in span.inputs.get("messages", ()) if self._texts)
        self._queue.put(item, size + len(str(span.outputs)) + 2_000)

    def _run(self, span: Span) -> dict[str, Any]:
        run: dict[str, Any] = {
            "id": span.span_id,
            "trace_id": span.root.span_id,
            "dotted_order": _dotted(span),
            "name": span.name,
            "run_type": "llm" if span.kind is SpanKind.CALL else "chain",
            "start_time": span.started,
            "inputs": span.inputs if self._texts else {},
            "extra": {"metadata": dict(span.metadata)},
            "tags": list(span.tags),
            "session_name": self.project,
        }
        return run | ({"parent_run_id": span.parent.span_id} if span.parent else {})

    def _end(self, span: Span) -> dict[str, Any]:
        outputs = dict(span.outputs) if self._texts else {}
        if span.kind is SpanKind.CALL and span.tokens_in is not None and span.tokens_out is not None:
            outputs["usage_metadata"] = {
                "input_tokens": span.tokens_in,
                "output_tokens": span.tokens_out,
                "total_tokens": span.tokens_in + span.tokens_out,
                **_details(span),
                **({} if span.cost_usd is None else {"total_cost": span.cost_usd}),
            }
            if span.replayed:  # it was paid for once, and counts once
                outputs["replayed_usage"] = outputs.pop("usage_metadata")
        failed = span.status in {SpanStatus.ERROR, SpanStatus.UNUSABLE}
        return {"end_time": span.ended, "outputs": outputs} | ({"error": span.error} if failed else {})

    def _deliver(self, batch: list[_Item]) -> Delivery:
        problem_before, self._problem = self._problem, None
        runs = [(item.new, self._redactor.clean(item.run)) for item in batch if isinstance(item, _Posted)]
        new = [run for is_new, run in runs if is_new]
        changed = [run for is_new, run in runs if not is_new]
        feedback = [item for item in batch if isinstance(item, FeedbackCreate)]
        sent = False
        try:
            self._client.multipart_ingest(create=new, update=changed)
            sent = self._problem is None
            if sent:
                self._send_feedback(feedback)
        except Exception as error:  # noqa: BLE001 - an answer can be anything; it is reported at the end
            self._problem = error
        if self._problem is None:
            self._problem = problem_before if self._unscored else None
            return Delivery.DONE
        if isinstance(self._problem, _LATER):
            return Delivery.LATER
        self._unscored += len(feedback) if sent else 0
        return Delivery.DONE if sent else Delivery.REFUSED

    def _send_feedback(self, feedback: list[FeedbackCreate]) -> None:
        if not feedback:
            return
        session_id = self._session_id()
        feedback = [item.model_copy(update={"session_id": session_id}) for item in feedback]
        if not self._one_by_one:
            try:
                self._client.request_with_retries("POST", "/runs/multipart", request_kwargs={"files": _parts(feedback)})
            except utils.LangSmithNotFoundError:  # an older server: one request each
                self._one_by_one = True
            else:
                return
        for item in feedback:
            shown = item.model_dump(include={"run_id", "trace_id", "key", "score", "value", "comment"})
            self._client.create_feedback(**shown, feedback_id=item.id, session_id=session_id)

    def _session_id(self) -> UUID:
        """Return the project's id, which feedback must name; the project is made if need be."""
        if self._project_id is None:
            try:
                self._project_id = self._client.read_project(project_name=self.project).id
            except utils.LangSmithNotFoundError:
                self._project_id = self._client.create_project(self.project, upsert=True).id
        return self._project_id

    def _note(self, error: Exception) -> None:
        self._problem = error


def _parts(feedback: list[FeedbackCreate]) -> list[tuple[str, tuple[None, bytes, str, dict[str, str]]]]:
    """Return the parts of a request of LangSmith's multipart path, each with its length, which the service asks for."""
    parts: list[tuple[str, tuple[None, bytes, str, dict[str, str]]]] = []
    for item in feedback:
        text = item.model_dump_json(exclude={"extend_trace_retention"}).encode()
        parts.append((f"feedback.{item.id}", (None, text, "application/json", {"Content-Length": str(len(text))})))
    return parts


def open_langsmith(config: TracingConfig, redactor: Redactor) -> LangSmithExporter | None:
    """Open the exporter that `tracing.langsmith` or the environment asks for.

    Raises UserError without a key, and for variables with which LangChain refuses every call.
    """
    for name in _OF_OLD:
        if not langsmith_asked(config.langsmith) and os.environ.get(name, "").strip() not in {
            "",
            "0",
            "false",
            "False",
        }:
            raise UserError(
                f"{name} asks for the tracing of an old LangChain, which the present one refuses at every call: unset"
                f" {name} (LANGSMITH_TRACING=true asks for today's)"
            )
    if config.langsmith and langsmith_asked(config.langsmith) and not has_key():
        raise UserError("tracing.langsmith needs a key: export LANGSMITH_API_KEY=..., or set it to false")
    if not langsmith_wanted(config.langsmith):
        return None
    return LangSmithExporter(redactor, project=config.project, texts=config.texts)


def _details(span: Span) -> dict[str, dict[str, int]]:
    """Return what of a call's tokens was cached and what was reasoning, where its endpoint reported it."""
    reported = {"input_token_details": ("cache_read", span.tokens_cached)}
    reported |= {"output_token_details": ("reasoning", span.tokens_reasoning)}
    return {name: {kind: count} for name, (kind, count) in reported.items() if count is not None}


def _dotted(span: Span) -> str:
    own = f"{span.started:%Y%m%dT%H%M%S%f}Z{span.span_id}"
    return own if span.parent is None else f"{_dotted(span.parent)}.{own}"


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:199]}…"
