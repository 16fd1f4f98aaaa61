"""What is recorded of a search for better prompts: its splits, packs, evaluations and iterations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from autodata.checkpoints.ids import canonical_json
from autodata.checkpoints.protocols import Store
from autodata.checkpoints.records import DocumentStatus
from autodata.checkpoints.writes.documents import now

BASELINE = "baseline"
"""State of the pack that the search started from; `member`, `rejected`, `invalid` and `candidate` are the others."""


@dataclass(frozen=True)
class BegunIteration:
    """An iteration that begins, with the parent that was sampled for it."""

    n: int
    worker: int
    parent: str
    probabilities: Mapping[str, float]
    """What each pack of the population was to be sampled with."""
    draw: float
    sampled: int
    """How often the parent was sampled, this time included."""
    history: Sequence[int]
    """The iterations whose entries of the history log analyst and editor are shown."""
    plan: Mapping[str, Any] = field(default_factory=dict)
    """`merged`: the pack that the parent is merged with; `analysis_of`: the iteration whose analysis is used again."""
    analysis: str | None = None
    """That analysis, as it is recorded there."""


@dataclass(frozen=True)
class NewPack:
    """A pack that the search has not seen before."""

    pack: str
    parent: str
    n: int
    """The iteration that made it."""
    diff: str
    """Against the baseline."""
    summary: str


@dataclass(frozen=True)
class Placed:
    """What becomes of a mutant. A new member is the work of the iteration that accepted it."""

    pack: str
    state: Literal["member", "rejected"]
    parent: str
    n: int
    summary: str


@dataclass(frozen=True)
class EndedIteration:
    """How an iteration ended. Scores are means in 0..1, None where nothing was compared."""

    n: int
    outcome: str
    reason: str
    summary: str
    """Its entry of the history log."""
    mutant: str | None
    parent_score: float | None
    mutant_score: float | None
    record: bool
    """Whether the mutant leads from now on."""
    ended_at: str


@dataclass(frozen=True)
class EvaluationHead:
    """What an evaluation is of."""

    evaluation: str
    pack: str
    split: str
    block: int


@dataclass(frozen=True)
class TriedDocument:
    """How one document of an evaluation ended."""

    document_id: str
    status: DocumentStatus
    rounds: int = 0
    calls: int = 0


async def record_splits(store: Store, splits: Mapping[str, Sequence[str]]) -> None:
    """Record which documents are for what, in order."""
    await store.save(
        splits=[
            {"document_id": document_id, "split": split, "position": position}
            for split, documents in splits.items()
            for position, document_id in enumerate(documents)
        ]
    )


async def record_baseline(store: Store, pack: str, texts: Mapping[str, str]) -> None:
    """Record the pack that the search begins with: its prompts, whole, by role."""
    row = {"pack": pack, "state": BASELINE, "diff": "", "iteration": 0, "created_at": now()}
    await store.save(packs=[{**row, "texts": texts}])


async def record_begun(store: Store, begun: BegunIteration) -> None:
    """Record that an iteration begins, before its parent is used."""
    row = {
        "iteration": begun.n,
        "lane": begun.worker,
        "parent": begun.parent,
        "probabilities": canonical_json(dict(begun.probabilities)),
        "draw": begun.draw,
        "sampled": begun.sampled,
        "history": canonical_json(list(begun.history)),
        "created_at": now(),
    }
    if begun.plan:
        row |= {"edits": canonical_json(dict(begun.plan)), "analysis": begun.analysis}
    await store.save(iterations=[row])


async def record_minibatch(store: Store, n: int, documents: Sequence[str], block: int) -> None:
    """Record what an iteration's parent was run on, and the block that parent and mutant are compared on."""
    await store.save(iterations=[{"iteration": n, "minibatch": canonical_json(list(documents)), "block": block}])


async def record_analysis(store: Store, n: int, analysis: Mapping[str, Any]) -> None:
    """Record what the analyst found."""
    await store.save(iterations=[{"iteration": n, "analysis": canonical_json(analysis)}])


async def record_edit(store: Store, n: int, edits: Mapping[str, Any], made: NewPack | None) -> None:
    """Record what the editor did in an iteration, and the pack that came of it where that is a new one."""
    await store.save(
        iterations=[{"iteration": n, "edits": canonical_json(edits)}], packs=[_new_pack_row(made)] if made else []
    )


async def record_invalid(store: Store, pack: str) -> None:
    """Record that a pack may not be validated."""
    await store.save(packs=[{"pack": pack, "state": "invalid"}])


async def record_compared(store: Store, n: int, compared: Mapping[str, Any]) -> None:
    """Record how parent and mutant compared: by which rule, the outcome, and what it rests on."""
    await store.save(iterations=[{"iteration": n, "confirmed": canonical_json({"compared": dict(compared)})}])


async def record_leader(store: Store, n: int, leader: str) -> None:
    """Record whom an iteration's mutant is compared with on fresh blocks; empty for nobody."""
    await store.save(iterations=[{"iteration": n, "leader": leader}])


async def record_lead(
    store: Store, n: int, mutant: str, led: int, *, confirmed: Mapping[str, Any] | None = None
) -> None:
    """Record that an iteration's mutant leads, as the `led`th; `confirmed` are the means that it was confirmed by."""
    row: dict[str, Any] = {"iteration": n, "mutant": mutant, "led": led}
    if confirmed is not None:
        row["confirmed"] = canonical_json(confirmed)
    await store.save(iterations=[row])


async def record_ended(store: Store, ended: EndedIteration, placed: Placed | None) -> None:
    """Record the end of an iteration, and its mutant's place in or out of the population; None leaves that."""
    row = {
        "iteration": ended.n,
        "outcome": ended.outcome,
        "reason": ended.reason,
        "summary": ended.summary,
        "mutant": ended.mutant,
        "parent_score": ended.parent_score,
        "mutant_score": ended.mutant_score,
        "record": ended.record,
        "ended_at": ended.ended_at,
    }
    await store.save(iterations=[row], packs=[_placed_row(placed)] if placed else [])


async def record_evaluating(store: Store, head: EvaluationHead, *, documents: int, n: int) -> None:
    """Record that an evaluation of so many documents begins, in an iteration."""
    row = {**_head_row(head), "documents": documents, "iteration": n, "created_at": now()}
    await store.save(evaluations=[row])


async def record_evaluated(
    store: Store,
    head: EvaluationHead,
    tried: Sequence[TriedDocument],
    *,
    passed: int,
    complete: bool,
    score: float | None,
) -> None:
    """Record an evaluation's documents, in order, and what they come to; `complete`: it was not stopped early."""
    row = {
        **_head_row(head),
        "state": "done" if complete else "stopped",
        "passed": passed,
        "errored": sum(one.status is DocumentStatus.ERRORED for one in tried),
        "calls": sum(one.calls for one in tried),
        "score": score,
    }
    trials = [_trial_row(head.evaluation, position, one) for position, one in enumerate(tried)]
    await store.save(trials=trials, evaluations=[row])


def _new_pack_row(made: NewPack) -> dict[str, Any]:
    return {
        "pack": made.pack,
        "parent": made.parent,
        "iteration": made.n,
        "state": "candidate",
        "diff": made.diff,
        "summary": made.summary,
        "created_at": now(),
    }


def _placed_row(placed: Placed) -> dict[str, Any]:
    row: dict[str, Any] = {"pack": placed.pack, "state": placed.state}
    if placed.state == "member":
        row |= {"iteration": placed.n, "parent": placed.parent, "summary": placed.summary}
    return row


def _head_row(head: EvaluationHead) -> dict[str, Any]:
    return {"evaluation": head.evaluation, "pack": head.pack, "split": head.split, "block": head.block}


def _trial_row(evaluation: str, position: int, tried: TriedDocument) -> dict[str, Any]:
    return {
        "evaluation": evaluation,
        "document_id": tried.document_id,
        "position": position,
        "status": tried.status.value,
        "rounds": tried.rounds,
        "calls": tried.calls,
    }
