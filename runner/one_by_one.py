"""A runner that is given its documents one by one, by a queue, in place of taking up all that are open."""

from __future__ import annotations

from autodata.checkpoints.queries.corrections import rounds_before
from autodata.checkpoints.queries.documents import document_to_take
from autodata.checkpoints.records import DocumentStatus
from autodata.models.budget import Budget
from autodata.runner.document_runner import Runner


class OneByOne(Runner):
    """One session of a worker: `begin`, then `take_up` for each document, any number of them at once."""

    together = True

    @property
    def budget(self) -> Budget:
        """What the session may still spend."""
        return self._services.caller.budget

    def write_under(self, lease: int) -> None:
        """Let nothing be written any more, in ledger and checkpoints, once a worker's lease is ended."""
        self.ledger.write_under(lease)
        self._graph.checkpointer.lease = lease

    async def begin(self) -> None:
        """Read what all documents have in common."""
        self._rounds_before = await rounds_before(self.ledger)

    async def take_up(self, document_id: str, epoch: int) -> bool:
        """Take one document to its end; return False when it is left where its checkpoint stands.

        `epoch` is the one that it is to be worked on in: a document that ended in it already is not taken up again.
        Raises what ends a session.
        """
        row = await document_to_take(self.ledger, document_id)
        if row is None or row["asked"]:
            return True
        errored = row["status"] == DocumentStatus.ERRORED
        if row["status"] in {DocumentStatus.PENDING, DocumentStatus.WAITING} or (errored and row["epoch"] < epoch):
            if self.outcome.stopped:
                return False
            await self._document(row)
            now = await document_to_take(self.ledger, document_id)
            return now is None or now["status"] != DocumentStatus.PENDING
        if not (row["settled"] or errored):
            await self._settle(document_id, row["epoch"])
        return True
