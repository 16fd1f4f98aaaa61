"""What people change of a run afterwards: documents that are asked about again, given more rounds, or dropped.

Nothing is deleted: rounds, attempts and calls of before stay, and each change is a mark that can be seen and undone.
Two names of table `meta` hold what the tables themselves have no column for: `rounds_before/DOCUMENT`, how many rounds
a document had when it was asked about again, and `dropped/DOCUMENT`, what it was before it was dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from autodata.checkpoints.ids import canonical_json
from autodata.checkpoints.protocols import Store
from autodata.checkpoints.queries.corrections import DROPPED, ROUNDS_BEFORE
from autodata.checkpoints.records import DocumentStatus


@dataclass(frozen=True)
class Ended:
    """Where a document stood when a person changed it."""

    document_id: str
    status: str
    status_reason: str
    rounds: int
    epoch: int
    settled: int


async def record_asked_again(store: Store, documents: Sequence[Ended]) -> None:
    """Record that documents are asked about again, those that had ended in a new epoch and with all rounds anew."""
    ended = [one for one in documents if one.status == DocumentStatus.REJECTED]
    await store.save(
        documents=[{**_pending(one.document_id), "epoch": one.epoch + 1} for one in ended],
        meta=[{"key": f"{ROUNDS_BEFORE}{one.document_id}", "value": str(one.rounds)} for one in ended],
    )


async def record_more_rounds(store: Store, documents: Sequence[str]) -> None:
    """Record that documents go on which had ended for want of rounds."""
    await store.save(documents=[_pending(document) for document in documents])


async def record_dropped(store: Store, dropped: Ended, reason: str) -> None:
    """Record that a document and its example count no more, and what it was before."""
    before = {**asdict(dropped), "reason": reason, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    row = {"document_id": dropped.document_id, "status": DocumentStatus.DROPPED.value, "status_reason": reason}
    await store.save(
        documents=[{**row, "settled": 1}],  # nothing of it is finished by a later session
        meta=[{"key": f"{DROPPED}{dropped.document_id}", "value": canonical_json(before)}],
    )


async def record_taken_back(store: Store, document_id: str, kept: str) -> None:
    """Record that a dropped document counts again as it did; `kept` is what `record_dropped` kept of it."""
    before: Mapping[str, str | int] = json.loads(kept)
    row = {name: before[name] for name in ("status", "status_reason", "settled")}
    await store.save(
        documents=[{"document_id": document_id, **row}],
        meta=[{"key": f"{DROPPED}{document_id}", "value": ""}],
    )


def _pending(document_id: str) -> dict[str, str | int]:
    status = DocumentStatus.PENDING.value
    return {"document_id": document_id, "status": status, "status_reason": "", "settled": 0}
