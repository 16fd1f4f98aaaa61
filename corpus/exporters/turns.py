"""A challenger's turn as a row: what it was asked, what it wrote, and what became of that."""

from __future__ import annotations

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from autodata.corpus.exporters.judged import Message


@with_config(ConfigDict(strict=True, extra="forbid"))
class TurnRow(TypedDict):
    """One turn of a challenger. Means are in 0..1, null where no solver was asked or attempts stopped early."""

    id: str
    prompt: list[Message]
    completion: list[Message]
    """One message: the reply that was used, without reasoning."""
    label: bool
    """Whether the example was accepted: what preference training without pairs (KTO) learns from."""
    outcome: str
    """`accepted` or `rejected`."""
    failure_mode: str
    """Why it was rejected, as `autodata status` names it; empty for an accepted one."""
    reason: str
    """The same in words, with figures or a model's finding."""
    reasoning: str
    """What the reply held besides its answer."""
    question: str
    """The candidate's; empty for a reply that held none."""
    domain: str
    document_id: str
    document_name: str
    document_title: str
    document_sha256: str
    chunk: int | None
    chunks: int | None
    round: int
    """The round in which it was asked; a draft that waited may have been tried in a later one."""
    challenger: int
    """Which of several challengers, from 0."""
    weak_mean: float | None
    strong_mean: float | None
    gap: float | None
    model: str
    prompt_version: str
    """Of the challenger's own prompt."""
    run: str
    source: str
    """The document's text, where it was asked for."""


TURNS: TypeAdapter[TurnRow] = TypeAdapter(TurnRow)


class ChatRow(TypedDict):
    """An accepted turn as a chat, for supervised fine-tuning."""

    id: str
    messages: list[Message]
    question: str
    domain: str
    document_id: str
    document_name: str
    document_sha256: str
    chunk: int | None
    chunks: int | None
    round: int
    weak_mean: float | None
    strong_mean: float | None
    gap: float | None
    model: str
    prompt_version: str
    run: str
    source: str


def chat_of(turn: TurnRow) -> ChatRow:
    """Return a turn as a chat."""
    return {
        "id": turn["id"],
        "messages": [*turn["prompt"], *turn["completion"]],
        "question": turn["question"],
        "domain": turn["domain"],
        "document_id": turn["document_id"],
        "document_name": turn["document_name"],
        "document_sha256": turn["document_sha256"],
        "chunk": turn["chunk"],
        "chunks": turn["chunks"],
        "round": turn["round"],
        "weak_mean": turn["weak_mean"],
        "strong_mean": turn["strong_mean"],
        "gap": turn["gap"],
        "model": turn["model"],
        "prompt_version": turn["prompt_version"],
        "run": turn["run"],
        "source": turn["source"],
    }
