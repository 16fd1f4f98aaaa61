"""Walk a batch: its documents through the inner loop side by side, then what became of them in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.lessons import BatchFigures
from autodata.checkpoints.queries.lessons import batches, closed_rounds_of, count_calls_of
from autodata.checkpoints.writes import record_walked
from autodata.nodes.dataset.state import DatasetContext, DatasetState


async def walk_batch(state: DatasetState, runtime: Runtime[DatasetContext]) -> dict[str, Any]:
    """Take the batch's documents to their ends and count what they made. A session that stops leaves the batch open."""
    context = runtime.context
    batch = next(one for one in await batches(context.ledger) if one.batch == state["batch"])
    await context.walker.walk(batch.documents)
    if context.walker.stopped:
        return {"next": "end"}
    rounds = await closed_rounds_of(context.ledger, batch.documents)
    calls = await count_calls_of(context.ledger, batch.documents)
    await record_walked(context.ledger, batch.batch, figures_of(len(batch.documents), rounds, calls))
    return {"next": "analyse" if context.walker.left() else "end"}


def figures_of(documents: int, rounds: Sequence[Mapping[str, Any]], calls: int) -> BatchFigures:
    """Return the figures of a batch from its closed rounds, as `queries.closed_rounds_of` has them."""
    modes = Counter(row["failure_mode"] for row in rounds if row["outcome"] == "rejected" and row["failure_mode"])
    return BatchFigures(
        documents=documents,
        accepted=sum(row["outcome"] == "accepted" for row in rounds),
        rounds=len(rounds),
        calls=calls,
        weak_mean=_mean(rounds, "weak_mean"),
        strong_mean=_mean(rounds, "strong_mean"),
        modes=dict(sorted(modes.items())),
    )


def _mean(rounds: Sequence[Mapping[str, Any]], name: str) -> float | None:
    known = [row[name] for row in rounds if row[name] is not None]
    return round(sum(known) / len(known), 4) if known else None
