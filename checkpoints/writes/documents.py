"""What is recorded of documents: that they came in, where each stands, what errored one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from autodata.checkpoints.protocols import Store
from autodata.checkpoints.records import Document, DocumentStatus, Skipped


@dataclass(frozen=True)
class Failure:
    """What errored a document. `failure_id` distinguishes failures: the same one recorded again is one row."""

    failure_id: str
    document_id: str
    thread_id: str
    kind: str
    message: str
    """The whole of it."""
    reason: str
    """`kind` and message in a line, the document's `status_reason`."""
    epoch: int = 0


@dataclass(frozen=True)
class Superseded:
    """What becomes of a document whose source has another text now, or its own again."""

    document_id: str
    replaced_by: str
    """The newer document's id; empty for one whose text is there again."""
    note: str
    status: DocumentStatus | None = None
    """Where it stands from now on; None where that does not change."""
    reason: str = ""
    settled: bool = False


async def record_taken_in(
    store: Store, items: Sequence[Document | Skipped], superseded: Sequence[Superseded] = ()
) -> None:
    """Record documents as pending, inputs that are none as skipped, with the reason, and what becomes of older ones."""
    await store.save(documents=[*map(_taken_in, items), *map(_superseded, superseded)])


async def record_status(
    store: Store, document_id: str, status: DocumentStatus, *, reason: str | None = None, epoch: int | None = None
) -> None:
    """Record where a document stands; `reason` and `epoch` where they change too."""
    row: dict[str, Any] = {"document_id": document_id, "status": status.value}
    if reason is not None:
        row["status_reason"] = reason
    if epoch is not None:
        row["epoch"] = epoch
    await store.save(documents=[row])


async def record_reopened(store: Store, document_ids: Sequence[str]) -> None:
    """Record that documents are pending again, for no reason of their own."""
    status = {"status": DocumentStatus.PENDING.value, "status_reason": ""}
    await store.save(documents=[{"document_id": document_id, **status} for document_id in document_ids])


async def record_walked_again(store: Store, document_ids: Sequence[str]) -> None:
    """Record that documents are to be walked from their start: their rows are made anew of what the journal holds."""
    row = {"status": DocumentStatus.PENDING.value, "status_reason": "", "settled": 0}
    await store.save(documents=[{"document_id": document_id, **row} for document_id in document_ids])


async def record_settled(store: Store, document_id: str) -> None:
    """Record that a document's thread is at its end, too."""
    await store.save(documents=[{"document_id": document_id, "settled": 1}])


async def record_failure(store: Store, failure: Failure) -> None:
    """Record what errored a document, and that it is errored."""
    document = {"document_id": failure.document_id, "status": DocumentStatus.ERRORED.value}
    row = {
        "failure_id": failure.failure_id,
        "document_id": failure.document_id,
        "thread_id": failure.thread_id,
        "epoch": failure.epoch,
        "kind": failure.kind,
        "message": failure.message,
        "created_at": now(),
    }
    await store.save(documents=[{**document, "status_reason": failure.reason}], failures=[row])


async def record_trials(store: Store, evaluation: str, document_ids: Mapping[str, int]) -> None:
    """Record documents, each with its position, as pending in an evaluation."""
    await store.save(
        trials=[
            {"evaluation": evaluation, "document_id": document_id, "position": position}
            for document_id, position in document_ids.items()
        ]
    )


async def record_document(store: Store, document: Document) -> None:
    """Record a document with its text. One that is known keeps its status."""
    known = {"document_id": document.document_id, "name": document.name, "title": document.title}
    await store.save(documents=[{**known, "text": document.text, "chars": len(document.text)}])


async def record_skipped(store: Store, document_id: str, reason: str, rounds: int) -> None:
    """Record that a document ends without an example, after so many rounds, for it is no use."""
    await store.save(documents=[document_row(document_id, DocumentStatus.SKIPPED, reason, rounds)])


async def record_extract(store: Store, document_id: str, extract: Mapping[str, Any], unsuitable: str | None) -> None:
    """Record a document's extract; and its end, where it was found `unsuitable` for this reason."""
    row: dict[str, Any] = {"document_id": document_id, "extract": extract}
    if unsuitable is not None:
        row |= {"status": DocumentStatus.SKIPPED.value, "status_reason": unsuitable}
    await store.save(documents=[row])


def document_row(document_id: str, status: DocumentStatus, reason: str, rounds: int) -> dict[str, Any]:
    """Return the part of a document's row that says where it stands."""
    return {"document_id": document_id, "status": status.value, "status_reason": reason, "rounds": rounds}


def now() -> str:
    """Return this moment as rows hold it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _taken_in(item: Document | Skipped) -> dict[str, Any]:
    row: dict[str, Any] = {"document_id": item.document_id, "name": item.name}
    if isinstance(item, Skipped):
        return row | {"status": DocumentStatus.SKIPPED.value, "status_reason": item.reason, "settled": 1}
    about = {"title": item.title, "text": item.text, "chars": len(item.text), "note": item.note}
    about["source"] = item.source
    return row | about | {"status": DocumentStatus.PENDING.value}


def _superseded(one: Superseded) -> dict[str, Any]:
    row: dict[str, Any] = {"document_id": one.document_id, "replaced_by": one.replaced_by, "note": one.note}
    if one.status is not None:
        row |= {"status": one.status.value, "status_reason": one.reason, "settled": int(one.settled)}
    return row
