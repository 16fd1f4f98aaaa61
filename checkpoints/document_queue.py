"""The document queue of an evaluation: which documents are in it and where each stands.

A run has one, kept in table `documents`. The optimiser evaluates the same documents many times: each evaluation then
has a queue of its own, kept in table `trials`, and whoever saves to it need not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from autodata.checkpoints.ids import digest
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.records import DocumentStatus

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
        return await self.ledger.read(
            "select document_id, name, title, status, epoch from documents where status in ('pending', 'errored')"
            " and document_id in (select document_id from documents where chars > 0 and replaced_by = ''"
            " order by rowid limit ?)"
            " order by rowid",
            (limit or -1,),
        )

    async def unsettled(self) -> list[dict[str, Any]]:
        """Return the rows (document_id, epoch) of documents whose end is recorded, but perhaps not their thread's."""
        return await self.ledger.read(
            "select document_id, epoch from documents where settled = 0"
            " and status not in ('pending', 'waiting', 'errored')"
        )

    async def accepted(self) -> int:
        """Return how many documents were accepted."""
        rows = await self.ledger.read("select count(*) as n from documents where status = 'accepted'")
        return int(rows[0]["n"])

    async def record_failure(self, document_id: str, epoch: int, kind: str, message: str, brief: str) -> None:
        """Record what errored a document: `kind` and the whole message, `brief` in a line. Twice is harmless."""
        thread = f"{self.evaluation}/{document_id}"
        status = {"status": DocumentStatus.ERRORED.value, "status_reason": f"{kind}: {brief}"}
        failure = {
            "failure_id": digest([thread, epoch, kind, message]),
            "document_id": document_id,
            "thread_id": thread,
            "epoch": epoch,
            "kind": kind,
            "message": message,
            "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        await self.save(documents=[{"document_id": document_id, **status}], failures=[failure])

    async def record_status(self, document_id: str, status: DocumentStatus, **columns: int | str) -> None:
        """Record where a document stands, and further columns of its row."""
        await self.save(documents=[{"document_id": document_id, "status": status.value, **columns}])

    async def taken_up(self, document_id: str) -> int:
        """Return how often a document was taken up again; one that is errored is taken up with this."""
        rows = await self.ledger.read("select status, epoch from documents where document_id = ?", (document_id,))
        row: dict[str, Any] = rows[0] if rows else {"status": "", "epoch": 0}
        epoch = int(row["epoch"])
        if row["status"] == DocumentStatus.ERRORED:
            epoch += 1
            await self.record_status(document_id, DocumentStatus.PENDING, status_reason="", epoch=epoch)
        return epoch

    async def record_settled(self, document_id: str) -> None:
        """Record that a document's thread is at its end, too."""
        await self.save(documents=[{"document_id": document_id, "settled": 1}])

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

    async def enter(self, documents: Sequence[str]) -> None:
        """Enter documents, in order, that the evaluation does not hold yet."""
        known = {row["document_id"] for row in await self.trials()}
        rows = [
            {"evaluation": self.evaluation, "document_id": document, "position": position}
            for position, document in enumerate(documents)
            if document not in known
        ]
        if rows:
            await self.ledger.save(trials=rows)

    async def trials(self) -> list[dict[str, Any]]:
        """Return the evaluation's rows of table `trials`, in the order of its documents."""
        return await self.ledger.read("select * from trials where evaluation = ? order by position", (self.evaluation,))

    async def open(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the rows that are left to do among the documents to be worked on now."""
        rows = await self.ledger.read(
            "select t.document_id, d.name, d.title, t.status, t.epoch from trials t"
            " join documents d using (document_id)"
            " where t.evaluation = ? and t.status in ('pending', 'errored') order by t.position",
            (self.evaluation,),
        )
        return [row for row in rows if row["document_id"] in self._documents][:limit]

    async def unsettled(self) -> list[dict[str, Any]]:
        """Return the rows of trials whose end is recorded, but perhaps not their thread's."""
        return await self.ledger.read(
            "select document_id, epoch from trials"
            " where evaluation = ? and settled = 0 and status not in ('pending', 'errored')",
            (self.evaluation,),
        )

    async def documents(self) -> list[str]:
        """Return the ids of the evaluation's own documents, in order; no other is shown to a challenger."""
        return sorted(row["document_id"] for row in await self.trials())

    async def accepted(self) -> int:
        """Return how many documents were accepted."""
        return sum(row["status"] == "accepted" for row in await self.trials())

    async def save(self, **tables: Sequence[Mapping[str, Any]]) -> None:
        """Save rows; what is said of documents is said of this evaluation's trials."""
        trials = [{"evaluation": self.evaluation, **row} for row in tables.pop("documents", ())]
        await self.ledger.save(**tables, **({"trials": trials} if trials else {}))
