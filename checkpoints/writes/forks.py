"""What is recorded of a fork: a mark in the run's ledger, and in the fork's own what it begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from autodata.checkpoints.ids import canonical_json
from autodata.checkpoints.protocols import Store
from autodata.checkpoints.records import DocumentStatus


@dataclass(frozen=True)
class Fork:
    """A document taken back to one of its rounds and sent on with something changed."""

    fork: str
    """Its number among the run's."""
    document_id: str
    thread_id: str
    round_id: str
    n: int
    folder: str
    """The fork's folder, from the run's."""
    changed: str
    """What was changed: `candidate`, `rubric` or `feedback`."""
    change: str | None
    """The changed fields as JSON, or the feedback as it is now."""
    created_at: str


async def record_fork(run: Store, fork: Fork) -> None:
    """Mark a fork in the ledger of its run."""
    await run.save(forks=[asdict(fork)])


async def record_fork_of(own: Store, fork: Fork, run: str) -> None:
    """Say in the fork's own ledger what it is a fork of; `run` is the run's folder, from the fork's."""
    value = canonical_json(asdict(replace(fork, folder=run)))
    await own.save(meta=[{"key": "fork_of", "value": value}])


async def record_copied_documents(
    own: Store, documents: Sequence[Mapping[str, Any]], document_id: str, rounds: int
) -> None:
    """Copy documents, as the run's ledger has them: the fork's own, after so many rounds, and what it is shown with.

    None is open to a session yet.
    """
    aside = {"status": DocumentStatus.SKIPPED.value, "status_reason": "shown as an example only", "settled": 1}
    rows = [{**row, **aside, "rounds": 0} for row in documents]
    for row in rows:
        if row["document_id"] == document_id:
            row |= {"status_reason": "", "rounds": rounds}
    await own.save(documents=rows)


async def record_copied_rounds(own: Store, parts: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Copy what `queries.rounds.before_round` found in the run's ledger."""
    await own.save(**parts)


async def record_fork_ready(own: Store, document_id: str) -> None:
    """Open the fork's document to a session."""
    row = {"document_id": document_id, "status": DocumentStatus.PENDING.value, "settled": 0}
    await own.save(documents=[row])
