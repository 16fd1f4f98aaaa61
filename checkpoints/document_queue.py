"""The document queue of an evaluation: which documents are in it and where each stands.

A run has one, kept in table `documents`. The optimiser evaluates the same documents many times: each evaluation then
has a queue of its own, kept in table `trials`, and whoever saves to it need not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autodata.checkpoints.ids import digest
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries import documents as queries
from autodata.checkpoints.records import DocumentStatus
from autodata.checkpoints.writes.documents import (
    Failure,
    record_failure,
    record_reopened,
    record_settled,
    record_status,
    record_trials,
)

MAIN = "main"
"""The evaluation of a plain run."""


class DocumentQueue:
    """The documents of a run. Store and Blobs of its nodes."""

    evaluation = MAIN

    def __init__(self, ledger: Ledger) -> None:
        """Keep the queue in a ledger."""
        self.ledger = ledger

    async def open(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the rows (document_id, name, title, status, epoch) that are left to do, among the first `limit`."""
        return await queries.open_documents(self.ledger, limit)

    async def unsettled(self) -> list[dict[str, Any]]:
        """Return the rows (document_id, epoch) of documents whose end is recorded, but perhaps not their thread's."""
        return await queries.unsettled_documents(self.ledger)

    async def record_failure(self, document_id: str, epoch: int, kind: str, message: str, brief: str) -> None:
        """Record what errored a document: `kind` and the whole message, `brief` in a line. Twice is as once."""
        thread = f"{self.evaluation}/{document_id}"
        failure_id = digest([thread, epoch, kind, message])
        reason = f"{kind}: {brief}"
        await record_failure(self, Failure(failure_id, document_id, thread, kind, message, reason, epoch))

    async def record_status(
        self, document_id: str, status: DocumentStatus, *, reason: str | None = None, epoch: int | None = None
    ) -> None:
        """Record where a document stands; `reason` and `epoch` where they change too."""
        await record_status(self, document_id, status, reason=reason, epoch=epoch)

    async def record_reopened(self, document_ids: Sequence[str]) -> None:
        """Record that documents are pending again, for no reason of their own."""
        await record_reopened(self, document_ids)

    async def taken_up(self, document_id: str) -> int:
        """Return how often a document was taken up again; one that is errored is taken up with this."""
        row = await self._standing(document_id)
        if row is None:
            return 0
        epoch = int(row["epoch"])
        if row["status"] == DocumentStatus.ERRORED:
            epoch += 1
            await self.record_status(document_id, DocumentStatus.PENDING, reason="", epoch=epoch)
        return epoch

    async def _standing(self, document_id: str) -> dict[str, Any] | None:
        """Return (status, epoch) of a document, None for an unknown one."""
        return await queries.standing_of(self.ledger, document_id)

    async def record_settled(self, document_id: str) -> None:
        """Record that a document's thread is at its end, too."""
        await record_settled(self, document_id)

    async def save(self, **tables: Sequence[Mapping[str, Any]]) -> None:
        """Save rows as `Ledger.save` does."""
        await self.ledger.save(**tables)

    async def get(self, ref: str) -> str:
        """Return the text behind a reference. Raises KeyError when there is none."""
        return await self.ledger.get(ref)

    async def documents(self) -> list[str]:
        """Return the ids of all documents that have a text, in order."""
        return await self.ledger.documents()


class EvaluationQueue(DocumentQueue):
    """The documents of one evaluation of the optimiser: rows for `documents` go to `trials`."""

    def __init__(self, ledger: Ledger, evaluation: str, documents: Sequence[str]) -> None:
        """Name the evaluation and those of its documents that are to be worked on now."""
        super().__init__(ledger)
        self.evaluation = evaluation
        self._documents = tuple(documents)

    async def add(self, documents: Sequence[str]) -> None:
        """Add documents, in order, that the evaluation does not hold yet."""
        known = {row["document_id"] for row in await self.trials()}
        new = {document: position for position, document in enumerate(documents) if document not in known}
        if new:
            await record_trials(self.ledger, self.evaluation, new)

    async def trials(self) -> list[dict[str, Any]]:
        """Return the evaluation's rows of table `trials`, in the order of its documents."""
        return await queries.trials(self.ledger, self.evaluation)

    async def open(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the rows that are left to do among the documents to be worked on now."""
        rows = await queries.open_trials(self.ledger, self.evaluation)
        return [row for row in rows if row["document_id"] in self._documents][:limit]

    async def unsettled(self) -> list[dict[str, Any]]:
        """Return the rows of trials whose end is recorded, but perhaps not their thread's."""
        return await queries.unsettled_trials(self.ledger, self.evaluation)

    async def _standing(self, document_id: str) -> dict[str, Any] | None:
        """Return (status, epoch) of a document within the evaluation, None for one that is none of it."""
        return await queries.trial_of(self.ledger, self.evaluation, document_id)

    async def documents(self) -> list[str]:
        """Return the ids of the evaluation's own documents, in order; no other is shown to a challenger."""
        return sorted(row["document_id"] for row in await self.trials())

    async def save(self, **tables: Sequence[Mapping[str, Any]]) -> None:
        """Save rows; what is said of documents is said of this evaluation's trials."""
        trials = [{"evaluation": self.evaluation, **row} for row in tables.pop("documents", ())]
        await self.ledger.save(**tables, **({"trials": trials} if trials else {}))


class ThreadQueue(EvaluationQueue):
    """The documents of one server thread. The last that any thread said of a document stands in `documents`, too."""

    async def save(self, **tables: Sequence[Mapping[str, Any]]) -> None:
        """Save rows; where a document stands is said of this thread, and of the document."""
        trials = [{"evaluation": self.evaluation, **row} for row in tables.get("documents", ())]
        await self.ledger.save(**tables, **({"trials": trials} if trials else {}))
