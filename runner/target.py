"""The target of a session: how many distinct accepted examples there are, and when there are enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autodata.checkpoints.asked import asked_key
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries.chosen import accepted_keys, read_target
from autodata.checkpoints.writes import record_target


class Target:
    """Distinct accepted examples, counted as an export counts them: one that asks the same as another adds nothing."""

    def __init__(self, wanted: int | None) -> None:
        """Want so many, or with None all that the documents give."""
        self._wanted = wanted
        self._keys: set[str] = set()

    async def begin(self, ledger: Ledger, *, latest: bool = True) -> None:
        """Count what earlier sessions accepted, and keep the target in the folder.

        Not `latest`: a session that takes up some documents alone leaves the target of the one before as it is.
        """
        if latest and self._wanted != await read_target(ledger):
            await record_target(ledger, self._wanted)
        if self._wanted:
            self._keys = await accepted_keys(ledger)

    def count(self, candidate: Mapping[str, Any]) -> None:
        """Count the candidate of an accepted example."""
        if self._wanted:
            self._keys.add(asked_key(candidate["question"], candidate.get("context") or ""))

    @property
    def reached(self) -> str:
        """Why a session takes up nothing more; empty while examples are missing, or none are counted."""
        if self._wanted and len(self._keys) >= self._wanted:
            return f"target of {self._wanted} accepted reached"
        return ""
