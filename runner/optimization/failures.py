"""Failures of an evaluation, read from the ledger, or from where they were traced to."""

from __future__ import annotations

import json
from typing import Any

from autodata.checkpoints.errors import RunFailed
from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.rounds import accepted_rounds, attempts_of_round, marks_of_attempt, rejected_rounds
from autodata.nodes.optimizer.trajectories import Contrasting, Exchange, Failure, Trajectories


class LedgerTrajectories:
    """`Trajectories` over a ledger: questions, answers, marks and feedback, as the run stored them."""

    def __init__(self, ledger: Reader) -> None:
        self._ledger = ledger

    async def failures(self, evaluation: str, documents: tuple[str, ...]) -> list[Failure]:
        """Return the failed rounds of an evaluation's threads on these documents, in order of document and round."""
        found: list[Failure] = []
        for document in documents:
            rows = await rejected_rounds(self._ledger, f"{evaluation}/{document}")
            found += [await self._failure(row) for row in rows]
        return found

    async def accepted(self, evaluation: str, documents: tuple[str, ...]) -> list[Failure]:
        """Return the accepted rounds of an evaluation's threads on these documents; their failure mode is empty."""
        rows = [
            row for document in documents for row in await accepted_rounds(self._ledger, f"{evaluation}/{document}")
        ]
        return [await self._failure(row) for row in rows]

    async def _failure(self, row: dict[str, Any]) -> Failure:
        attempts = await attempts_of_round(self._ledger, row["round_id"])
        return Failure(
            round_id=row["round_id"],
            document_id=row["document_id"],
            n=row["n"],
            failure_mode=row["failure_mode"] or "",
            reason=row["reason"],
            candidate=json.loads(row["candidate"]) if row["candidate"] else {},
            quality=json.loads(row["quality"]) if row["quality"] else None,
            weak_mean=row["weak_mean"],
            strong_mean=row["strong_mean"],
            feedback=row["feedback"],
            exchanges=tuple([await self._exchange(attempt) for attempt in attempts]),
        )

    async def _exchange(self, attempt: dict[str, Any]) -> Exchange:
        marks = await marks_of_attempt(self._ledger, attempt["attempt_id"])
        return Exchange(
            attempt_id=attempt["attempt_id"],
            stage=attempt["stage"],
            answer=attempt["answer"],
            score=attempt["score_value"],
            marks=tuple({**mark, "met": bool(mark["met"])} for mark in marks),
        )


class TracedTrajectories:
    """`Trajectories` over a traced project. The ledger says which rounds failed; what is not traced is read there."""

    def __init__(self, ledger: Trajectories, traced: Trajectories, notes: list[str]) -> None:
        self._ledger, self._traced, self._notes = ledger, traced, notes

    async def accepted(self, evaluation: str, documents: tuple[str, ...]) -> list[Failure]:
        """Return the accepted rounds, from the ledger."""
        known = self._ledger
        return await known.accepted(evaluation, documents) if isinstance(known, Contrasting) else []

    async def failures(self, evaluation: str, documents: tuple[str, ...]) -> list[Failure]:
        """Return the failed rounds, each as it was traced. A project that cannot be read is noted, and no failure."""
        known = await self._ledger.failures(evaluation, documents)
        try:
            traced = await self._traced.failures(evaluation, documents)
        except RunFailed as error:
            note = f"{error}; failures were read from the ledger instead"
            self._notes += [] if note in self._notes else [note]
            return known
        found = {failure.round_id: failure for failure in traced}
        return [found.get(failure.round_id, failure) for failure in known]
