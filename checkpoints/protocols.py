"""The ledger as a node or a caller sees it: rows that last, long texts by reference, the journal of calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Store(Protocol):
    """Rows that last: the ledger seen from a node. `save` returns only when the rows are durable."""

    async def save(self, **tables: Sequence[Mapping[str, Any]]) -> None:
        """Upsert rows by their primary keys, all tables in one transaction. Called by `checkpoints.writes` alone."""


class Blobs(Protocol):
    """Long texts by reference: `document/<document_id>` and `answer/<attempt_id>`."""

    async def get(self, ref: str) -> str:
        """Return the text behind a reference. Raises KeyError when there is none."""

    async def documents(self) -> list[str]:
        """Return the ids of all documents that have a text, in order."""


class Journal(Protocol):
    """Every completed model call, durable before its reply is used."""

    async def find_call(self, key: str, thread: str | None = None) -> Mapping[str, Any] | None:
        """Return the stored row of table `calls` with this key, which is of this thread where one is named, or None."""

    async def save(self, **tables: Sequence[Mapping[str, Any]]) -> None:
        """Store rows of tables `calls` and `timeouts`, and of `meta` for what was found out about endpoints."""
