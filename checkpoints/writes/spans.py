"""What is recorded of the run tree, from document to call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from autodata.checkpoints.ledger import Ledger


@dataclass(frozen=True)
class SpanRecord:
    """One piece of work as the ledger keeps it: without texts, which the journal has."""

    span_id: str
    parent_id: str | None
    thread_id: str
    document_id: str
    kind: str
    name: str
    n: int
    role: str
    index: str
    number: int
    """Which try of its epoch, from 0."""
    epoch: int
    model: str
    call_key: str | None
    requests: int
    replayed: bool
    tokens_in: int | None
    tokens_out: int | None
    cost_usd: float | None
    status: str
    outcome: str
    error: str
    started: datetime
    ended: datetime | None


def carry_span(ledger: Ledger, span: SpanRecord) -> None:
    """Record a span along with whatever is saved next; nobody waits for it. Raises as `Ledger.carry`."""
    row = {
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "thread_id": span.thread_id,
        "document_id": span.document_id,
        "kind": span.kind,
        "name": span.name,
        "n": span.n,
        "role": span.role,
        "idx": span.index,
        "try": span.number,
        "epoch": span.epoch,
        "model": span.model,
        "call_key": span.call_key,
        "requests": span.requests,
        "replayed": span.replayed,
        "tokens_in": span.tokens_in,
        "tokens_out": span.tokens_out,
        "cost_usd": span.cost_usd,
        "status": span.status,
        "outcome": span.outcome,
        "error": span.error,
        "started": span.started.isoformat(timespec="microseconds"),
        "ended": span.ended.isoformat(timespec="microseconds") if span.ended else None,
    }
    ledger.carry(spans=[row])
