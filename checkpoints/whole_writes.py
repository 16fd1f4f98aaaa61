"""Writes of a checkpoint saver that are done to their end, whoever waits for them being cancelled or not."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
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
        if self._closed:
            write.close()
            raise asyncio.CancelledError(f"{self._place} is closed")
        task = asyncio.create_task(write)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Finish the writes that have begun, and refuse all others."""
        self._closed = True
        while self._writing:
            await asyncio.wait(self._writing)
