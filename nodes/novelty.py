"""Near-duplicates of what a run has accepted are refused, before any solver is paid for them."""

from __future__ import annotations

import asyncio

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.lessons import accepted_questions
from autodata.checkpoints.shingles import ShingleIndex
from autodata.checkpoints.texts import preview

REFUSED = "near duplicate of an accepted question"
"""How the reason begins."""


class AcceptedQuestions:
    """The accepted questions of a run by document, read from its ledger as they come.

    A document's own question never stands against it: a step that runs again after a crash finds its example there.
    """

    def __init__(self, ledger: Reader, threshold: float) -> None:
        """Refuse from this Jaccard similarity of the questions' words in threes on, in 0..1."""
        self._ledger = ledger
        self._index: ShingleIndex[str] = ShingleIndex(threshold)
        self._texts: dict[str, tuple[str, str]] = {}  # document -> its name and its question
        self._read = 0
        self._reading = asyncio.Lock()

    async def near(self, document_id: str, question: str) -> str:
        """Return why a question is refused, in words; empty for one that is new."""
        await self._read_new()
        return self._refused(document_id, question)

    async def claim(self, document_id: str, question: str) -> str:
        """Return what `near` does, and otherwise take the question for the document, at once.

        Between the two nothing is waited for: of two documents that come with one question the first has it. The ledger
        is read here too: a document may come here first in a session that goes on after a crash.
        """
        await self._read_new()
        if refused := self._refused(document_id, question):
            return refused
        self._add(document_id, "", question)
        return ""

    async def _read_new(self) -> None:
        async with self._reading:
            for row in await accepted_questions(self._ledger, self._read):
                self._read = row["place"]
                self._add(row["document_id"], row["name"], row["question"])

    def _add(self, document_id: str, name: str, question: str) -> None:
        self._index.add(document_id, question)
        self._texts[document_id] = name, question

    def _refused(self, document_id: str, question: str) -> str:
        found = self._index.nearest(question, but=document_id)
        if found is None:
            return ""
        name, text = self._texts[found]
        return f"{REFUSED}: {f'that of {name}: ' if name else ''}{preview(text)}"
