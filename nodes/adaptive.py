"""Adaptive stopping in a run: which candidates are walked to the end, and what the others are stopped by.

What a candidate is stopped by is recorded with its round before its first attempt, so that a document that goes on
after a crash, or begins anew, decides as it did. The fit is renewed as candidates finish, from the ledger.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from autodata.checkpoints.ids import digest
from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.protocols import Store
from autodata.checkpoints.queries.stopping import finished_candidates, finished_count, stopping_of
from autodata.checkpoints.records import Decision
from autodata.checkpoints.writes import record_stopping
from autodata.domains.acceptance.adaptive import Basis, Fit
from autodata.domains.acceptance.adaptive_fit import Finished, due, fitted, would_stop
from autodata.domains.acceptance.policies import AcceptancePolicy, Planned


class AdaptiveStopping:
    """Gives each candidate what it is stopped by, from the finished candidates of its run's ledger."""

    def __init__(
        self,
        ledger: Reader,
        store: Store,
        policy: AcceptancePolicy,
        planned: Planned,
        *,
        error: float,
        walked: float,
        seed: int,
    ) -> None:
        """`error` is the share of acceptances that may be lost, `walked` that of candidates walked to the end."""
        self._ledger, self._store, self._policy, self._planned = ledger, store, policy, planned
        self._error, self._walked, self._seed = error, walked, seed
        self._fit: Fit | None = None
        self._fitting = asyncio.Lock()

    async def basis_of(self, round_id: str, candidate_id: str) -> Basis:
        """Return what a round goes by, as recorded; else record it now."""
        if recorded := await stopping_of(self._ledger, round_id):
            known = json.loads(recorded)  # with what became of the candidate, once it was decided
            basis = Basis.model_validate({name: known[name] for name in Basis.model_fields})
            if basis.candidate_id == candidate_id:
                return basis
        lot = int(digest(["walked", self._seed, round_id], 8), 16)
        basis = Basis(candidate_id=candidate_id, walked=lot < self._walked * 16**8, fit=await self._current())
        await record_stopping(self._store, round_id, _recorded(basis))
        return basis

    async def note(
        self, round_id: str, basis: Basis, weak: Sequence[Fraction], strong: Sequence[Fraction], decision: Decision
    ) -> None:
        """Record how a decided candidate was come by: whether it was accepted, and would have been stopped."""
        if decision not in {Decision.ACCEPT, Decision.REJECT}:
            return
        would = basis.walked and would_stop(self._policy, weak, strong, self._planned, basis.fit)
        ended = {"accepted": int(decision is Decision.ACCEPT), "would_stop": int(would)}
        await record_stopping(self._store, round_id, {**_recorded(basis), **ended})

    async def _current(self) -> Fit:
        async with self._fitting:
            rests_on = due(await finished_count(self._ledger))
            if self._fit is None or self._fit.candidates != rests_on:
                found = [Finished(**row) for row in (await finished_candidates(self._ledger))[:rests_on]]
                one = (self._policy, self._planned, found)
                self._fit = await asyncio.to_thread(lambda: fitted(*one, error=self._error, walked=self._walked))
            return self._fit


def _recorded(basis: Basis) -> dict[str, Any]:
    """Return a basis as its round records it: flags are 0 or 1, which every database reads alike."""
    return {**basis.model_dump(mode="json"), "walked": int(basis.walked)}
