"""What is recorded of model calls: every reply before it is used, and requests that got none and may be billed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from autodata.checkpoints.ids import canonical_json
from autodata.checkpoints.protocols import Journal
from autodata.checkpoints.usage import Usage
from autodata.checkpoints.writes.documents import now

Cause = Literal["timeout", "unreadable", "cancelled"]
"""Why a request that was sent got no reply: none came in time, or one that is no chat completion, or its work was
called off while it was under way."""


@dataclass(frozen=True)
class PaidCall:
    """A reply with the call that it answers."""

    key: str
    document_id: str
    thread_id: str
    n: int
    role: str
    node: str
    index: str
    number: int
    """Which try of its epoch, from 0."""
    epoch: int
    model: str
    params: Mapping[str, Any]
    messages_hash: str
    prompt_version: str
    response: str
    """The whole reply."""
    finish_reason: str
    reported: Usage
    """What its endpoint counted, and what that costs."""
    charged: Usage
    """What it counts for under a budget."""
    seconds: float
    """How long its own request took."""


@dataclass(frozen=True)
class UnansweredRequest:
    """A request without a reply, which its endpoint may bill all the same."""

    request_id: str
    call_key: str
    document_id: str
    thread_id: str
    role: str
    model: str
    cause: Cause
    most: Usage
    """The most that it can have taken: what it counts for under a budget."""


async def record_call(journal: Journal, call: PaidCall, meta: Mapping[str, str] | None = None) -> None:
    """Record a reply, and values by name of what it showed about its endpoint. It may be used once this returns."""
    row = {
        "key": call.key,
        "document_id": call.document_id,
        "thread_id": call.thread_id,
        "n": call.n,
        "role": call.role,
        "node": call.node,
        "idx": call.index,
        "try": call.number,
        "epoch": call.epoch,
        "model": call.model,
        # What is not set is left out: it would stand in every row.
        "params": canonical_json({name: value for name, value in call.params.items() if value not in (None, {})}),
        "messages_hash": call.messages_hash,
        "prompt_version": call.prompt_version,
        "response": call.response,
        "finish_reason": call.finish_reason,
        "tokens_in": call.reported.tokens_in,
        "tokens_out": call.reported.tokens_out,
        "tokens_cached": call.reported.tokens_cached,
        "tokens_reasoning": call.reported.tokens_reasoning,
        "latency_s": round(call.seconds, 3),
        "cost_usd": call.reported.usd,
        "charged_in": call.charged.tokens_in,
        "charged_out": call.charged.tokens_out,
        "charged_usd": call.charged.usd,
        "created_at": now(),
    }
    await journal.save(calls=[row], meta=[{"key": name, "value": value} for name, value in (meta or {}).items()])


async def record_unanswered(journal: Journal, request: UnansweredRequest) -> None:
    """Record a request without a reply, so that people and later sessions know what may be billed."""
    row = {
        "timeout_id": request.request_id,
        "call_key": request.call_key,
        "document_id": request.document_id,
        "thread_id": request.thread_id,
        "role": request.role,
        "model": request.model,
        "cause": request.cause,
        "charged_in": request.most.tokens_in,
        "charged_out": request.most.tokens_out,
        "charged_usd": request.most.usd,
        "created_at": now(),
    }
    await journal.save(timeouts=[row])
