"""Spans: the run tree from document to round to node to call, as the tracer makes it and exporters get it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ParamSpec, Protocol
from uuid import UUID

from langsmith import uuid7

from autodata.checkpoints.writes import SpanRecord

P = ParamSpec("P")

logger = logging.getLogger(__name__)


class SpanKind(StrEnum):
    """What a span stands for."""

    DOCUMENT = "document"
    """One document in one session."""
    ROUND = "round"
    NODE = "node"
    CALL = "call"


class SpanStatus(StrEnum):
    """How a span came out."""

    OPEN = "open"
    """It has not ended; in a run that is not going on, the process died in it."""
    OK = "ok"
    ERROR = "error"
    UNUSABLE = "unusable"
    """A reply came that could not be read."""
    STOPPED = "stopped"
    """The session ended first: the next one goes on."""


@dataclass(frozen=True)
class Score:
    """A figure about a span, or about the call that an attempt was made by."""

    key: str
    score: float | None
    value: str | None = None
    """In words: a verdict."""
    comment: str = ""


@dataclass
class Span:
    """One piece of work, from its start to its end."""

    kind: SpanKind
    name: str
    thread_id: str
    document_id: str
    parent: Span | None = None
    n: int = 0
    role: str = ""
    idx: str = ""
    number: int = 0
    epoch: int = 0
    model: str = ""
    call_key: str | None = None
    requests: int = 0
    replayed: bool = False
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None
    """Of `tokens_in`; the ledger has it with the call, as `tokens_reasoning`."""
    tokens_reasoning: int | None = None
    cost_usd: float | None = None
    status: SpanStatus = SpanStatus.OPEN
    outcome: str = ""
    error: str = ""
    span_id: UUID = field(default_factory=uuid7)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)
    """Texts; the ledger does not get them, for the journal has them."""
    outputs: dict[str, Any] = field(default_factory=dict)
    scores: list[Score] = field(default_factory=list)

    @property
    def root(self) -> Span:
        """The span that this one's tree begins with."""
        return self if self.parent is None else self.parent.root

    def record(self) -> SpanRecord:
        """Return what the ledger keeps of it."""
        return SpanRecord(
            span_id=str(self.span_id),
            parent_id=str(self.parent.span_id) if self.parent else None,
            thread_id=self.thread_id,
            document_id=self.document_id,
            kind=self.kind.value,
            name=self.name,
            n=self.n,
            role=self.role,
            index=self.idx,
            number=self.number,
            epoch=self.epoch,
            model=self.model,
            call_key=self.call_key,
            requests=self.requests,
            replayed=self.replayed,
            tokens_in=self.tokens_in,
            tokens_out=self.tokens_out,
            cost_usd=self.cost_usd,
            status=self.status.value,
            outcome=self.outcome,
            error=self.error,
            started=self.started,
            ended=self.ended,
        )


class Exporter(Protocol):
    """Sends spans somewhere, in a thread of its own. None of the methods waits but `close`.

    What one raises fails no run: the tracer counts it and reports it at the end.
    """

    name: str
    """What people call it."""

    def started(self, span: Span) -> None:
        """Take a span that has begun."""

    def ended(self, span: Span) -> None:
        """Take a span that is complete, with outputs and scores."""

    def scored(self, span: Span, score: Score) -> None:
        """Take a figure about a span, before or after its end."""

    def close(self, seconds: float) -> str:
        """Send what is left for at most so many seconds; return what a person must know, empty when all is well."""


class SpanSink(Protocol):
    """What takes the spans of one document. None of the methods waits, and none raises."""

    def start(self, span: Span) -> None:
        """Take a span that has begun."""

    def end(self, span: Span, error: BaseException | None = None) -> None:
        """Take a span that has ended: well, or with the error that ended it."""

    def end_round(self, span: Span, round_id: str) -> None:
        """Take a closed round's span."""

    def score(self, span: Span, score: Score) -> None:
        """Take a figure about a span."""


def without_empty(value: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a mapping without what is empty."""
    return {name: item for name, item in (value or {}).items() if item not in (None, "", [], {})}


def never_raises(method: Callable[P, None]) -> Callable[P, None]:
    """Make a method of the tracer unable to fail the run that it only looks at."""

    @functools.wraps(method)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except Exception:  # a trace is worth less than the run
            logger.debug("tracing failed in %s", method.__qualname__, exc_info=True)

    return guarded
