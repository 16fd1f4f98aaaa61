"""Traces to an OpenTelemetry collector: OTLP over HTTP, with the attributes of its conventions for generative AI.

The stock exporter sends, and the stock SDK makes its spans. The stock `BatchSpanProcessor` is not used: it drops spans
without a count that could be reported, does not try a batch again that nobody answered, and waits at the end for a
request on its way; the export queue does none of this. Spans are made when they are sent, for then they are redacted,
and their ids follow from ours, so that a tree that a killed process began holds together.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import UUID

from autodata.checkpoints.errors import UserError
from autodata.tracing.config import TracingConfig
from autodata.tracing.export_queue import Delivery, ExportQueue
from autodata.tracing.redact import Redactor
from autodata.tracing.spans import Score, Span, SpanKind, SpanStatus

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

REQUEST_SECONDS = 10
_PROVIDERS = {"local": "llama_cpp"}


class OtelExporter:
    """Ended spans, each with its parent. Scores become events of the round they are about."""

    name = "OpenTelemetry"

    def __init__(self, redactor: Redactor, *, endpoint: str | None = None, texts: bool = True) -> None:
        """Send to the endpoint given, else to that of the environment. Raises UserError when the extra is missing."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - of the extra `otel`
        except ImportError as error:
            raise UserError(
                "tracing.otel needs OpenTelemetry: pip install 'autodata-langgraph[otel]', or set it to false"
            ) from error
        logging.getLogger("opentelemetry.exporter").addHandler(logging.NullHandler())
        self._redactor, self._texts = redactor, texts
        self._exporter = OTLPSpanExporter(endpoint=endpoint, timeout=REQUEST_SECONDS)
        self._maker = _Maker()
        self._queue: ExportQueue[Span] = ExportQueue("autodata-otel", self._deliver)

    def started(self, span: Span) -> None:
        """Wait for its end: a collector takes complete spans only."""

    def ended(self, span: Span) -> None:
        """Send a span."""
        size = sum(len(message["content"]) for message in span.inputs.get("messages", ()) if self._texts)
        self._queue.put(span, size + len(str(span.outputs)) + 2_000)

    def scored(self, span: Span, score: Score) -> None:
        """Leave it: what a round was scored stands in its span."""

    def close(self, seconds: float) -> str:
        """Send what is left for at most so many seconds."""
        lost = self._queue.close(seconds)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]
        return f"OpenTelemetry: {lost:,} spans were not sent; the run itself is whole" if lost else ""

    def _deliver(self, batch: list[Span]) -> Delivery:
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415 - of the extra `otel`

        made = [self._maker.make(span, self._redactor, texts=self._texts) for span in batch]
        return Delivery.DONE if self._exporter.export(made) is SpanExportResult.SUCCESS else Delivery.LATER


class _Maker:
    """Makes OpenTelemetry's spans of ours, with ids that follow from ours, so that a tree holds together."""

    def __init__(self) -> None:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - of the extra `otel`
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider  # noqa: PLC0415 - of the extra `otel`
        from opentelemetry.sdk.trace.id_generator import IdGenerator  # noqa: PLC0415 - of the extra `otel`
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON  # noqa: PLC0415 - of the extra `otel`

        made: list[ReadableSpan] = []
        ids = {"trace": 1, "span": 1}

        class Given(IdGenerator):
            def generate_trace_id(self) -> int:
                return ids["trace"]

            def generate_span_id(self) -> int:
                return ids["span"]

        class Collect(SpanProcessor):
            def on_end(self, span: ReadableSpan) -> None:
                made.append(span)

        release = version("autodata-langgraph")
        resource = Resource.create()  # what the standard variables say
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": "autodata", "service.version": release}))
        provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, id_generator=Given(), shutdown_on_exit=False)
        provider.add_span_processor(Collect())
        self._tracer = provider.get_tracer("autodata", release)
        self._made, self._ids = made, ids

    def make(self, span: Span, redactor: Redactor, *, texts: bool) -> ReadableSpan:
        """Return one span, redacted."""
        from opentelemetry import trace  # noqa: PLC0415 - of the extra `otel`

        self._ids |= {"trace": span.root.span_id.int, "span": _short(span.span_id)}
        context = trace.set_span_in_context(trace.INVALID_SPAN)
        if span.parent is not None:
            flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
            parent = trace.SpanContext(span.root.span_id.int, _short(span.parent.span_id), False, flags)
            context = trace.set_span_in_context(trace.NonRecordingSpan(parent))
        call = span.kind is SpanKind.CALL
        made = self._tracer.start_span(
            redactor.text(f"chat {span.model}" if call else span.name),
            context=context,
            kind=trace.SpanKind.CLIENT if call else trace.SpanKind.INTERNAL,
            attributes=redactor.clean(attributes(span, texts=texts)),
            start_time=_nanoseconds(span.started),
        )
        for score in span.scores:
            made.add_event("gen_ai.evaluation.result", redactor.clean(_evaluation(score, texts)), _end(span))
        if span.status in {SpanStatus.ERROR, SpanStatus.UNUSABLE}:
            made.set_attribute("error.type", span.status.value)
            made.set_status(trace.Status(trace.StatusCode.ERROR, redactor.text(span.error)))
        made.end(_end(span))
        return self._made.pop()


def attributes(span: Span, *, texts: bool = True) -> dict[str, Any]:
    """Return a span's attributes: ours under `autodata.`, and for a call those of the conventions."""
    skipped = ("ls_", "seed", "top_p", "base_url", "thread_id")
    found: dict[str, Any] = {
        f"autodata.{name}": value
        for name, value in span.metadata.items()
        if not name.startswith(skipped) and isinstance(value, str | bool | int | float)
    }
    found["gen_ai.conversation.id"] = span.metadata.get("thread_id", span.thread_id)
    if span.kind is not SpanKind.CALL:
        if span.kind is SpanKind.NODE:
            found |= {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": span.name}
        if texts:
            texts_of = {"autodata.inputs": span.inputs, "autodata.outputs": span.outputs}
            found |= {name: _json(value) for name, value in texts_of.items() if value}
        return found
    provider = span.metadata.get("ls_provider", "")
    found |= {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": span.model,
        "gen_ai.request.max_tokens": span.metadata.get("ls_max_tokens"),
        "gen_ai.request.temperature": span.metadata.get("ls_temperature"),
        "gen_ai.request.top_p": span.metadata.get("top_p"),
        "gen_ai.request.seed": span.metadata.get("seed"),
        "gen_ai.usage.input_tokens": None if span.replayed else span.tokens_in,
        "gen_ai.usage.output_tokens": None if span.replayed else span.tokens_out,
        "gen_ai.usage.cache_read.input_tokens": None if span.replayed else span.tokens_cached,
        "gen_ai.usage.reasoning.output_tokens": None if span.replayed else span.tokens_reasoning,
        "autodata.cost_usd": None if span.replayed else span.cost_usd,
        "autodata.requests": span.requests,
    }
    if finish := span.outputs.get("finish_reason"):
        found["gen_ai.response.finish_reasons"] = [finish]
    if texts:
        found["gen_ai.input.messages"] = _json([_message(**message) for message in span.inputs.get("messages", ())])
        if span.outputs:
            reply = _message("assistant", span.outputs["content"]) | {"finish_reason": finish}
            found["gen_ai.output.messages"] = _json([reply])
    return {name: value for name, value in found.items() if value is not None}


def open_otel(config: TracingConfig, redactor: Redactor) -> OtelExporter | None:
    """Open the exporter that `tracing.otel` asks for. Raises UserError where it is not installed."""
    return OtelExporter(redactor, endpoint=config.otel_endpoint, texts=config.texts) if config.otel else None


def _message(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": content}]}


def _evaluation(score: Score, texts: bool) -> Mapping[str, Any]:
    found: dict[str, Any] = {"gen_ai.evaluation.name": score.key}
    if score.score is not None:
        found["gen_ai.evaluation.score.value"] = score.score
    if score.value:
        found["gen_ai.evaluation.score.label"] = score.value
    if score.comment and texts:
        found["gen_ai.evaluation.explanation"] = score.comment
    return found


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _short(identity: UUID) -> int:
    """Return the 64 bits of a span's id: the random half, never 0."""
    return identity.int & (2**64 - 1) or 1


def _end(span: Span) -> int:
    return _nanoseconds(span.ended or span.started)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000
