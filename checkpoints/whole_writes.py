"""Writes of a checkpoint saver that are done to their end, whoever waits for them being cancelled or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

_T = TypeVar("_T")


class WholeWrites:
    """The writes of one saver. LangGraph writes in the background: a graph that was cut off may leave some behind."""

    def __init__(self, place: str) -> None:
        """Take none yet. `place` names what is written to, for who asks too late."""
        self._place = place
        self._writing: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def whole(self, write: Coroutine[Any, Any, _T]) -> _T:
        """Do a write to its end. After `aclose` whoever asks for one is cancelled: its graph is no longer run."""
        return await asyncio.shield(self.begun(write))

    def begun(self, write: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Begin a write, which is then done to its end. Raises CancelledError after `aclose`."""
        if self._closed:
            write.close()
            raise asyncio.CancelledError(f"{self._place} is closed")
        task = asyncio.create_task(write)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return task

    async def aclose(self) -> None:
        """Finish the writes that have begun, and refuse all others."""
        self._closed = True
        while self._writing:
            await asyncio.wait(self._writing)


Statements = Sequence[tuple[str, Sequence[tuple[Any, ...]]]]
"""Statements with the rows that each is run with, in order."""


class Together:
    """Rows that are written together: whatever came while a transaction was on its way goes into the next one."""

    def __init__(self, writes: WholeWrites, commit: Callable[[Statements], Coroutine[Any, Any, None]]) -> None:
        """Commit with this; `writes` finishes what has begun."""
        self._writes, self._commit = writes, commit
        self._waiting: list[tuple[str, Sequence[tuple[Any, ...]]]] = []
        self._next: Awaitable[None] | None = None
        self._turn = asyncio.Lock()

    async def save(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows; return once they are committed. Raises what their transaction raised."""
        self._waiting.append((statement, rows))
        if self._next is None:
            self._next = self._writes.begun(self._written())
        await asyncio.shield(self._next)

    async def _written(self) -> None:
        async with self._turn:
            taken, self._waiting, self._next = self._waiting, [], None
            await self._commit(
                [
                    (statement, [row for _, rows in group for row in rows])
                    for statement, group in groupby(taken, key=itemgetter(0))
                ]
            )
