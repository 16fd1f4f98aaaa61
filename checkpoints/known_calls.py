"""Which calls the journal holds, by thread: a call that is not there costs no look into the file."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

THREADS: Final = 4096
"""Threads whose keys are held in memory, those asked for last: more than a run works on at once."""


class KnownCalls:
    """The keys of the calls of the threads in work, read once a thread."""

    def __init__(self, read: Callable[[str, Sequence[Any]], Awaitable[list[dict[str, Any]]]]) -> None:
        """Read with this, on one event loop."""
        self._read = read
        self._threads: OrderedDict[str, asyncio.Future[set[str]]] = OrderedDict()

    async def hold(self, key: str, thread: str) -> bool:
        """Whether the journal holds this call, of this thread or, in folders of early versions, of none."""
        return key in await self._keys_of(thread) or key in await self._keys_of("")

    def note(self, key: str, thread: str) -> None:
        """Note a call that was saved. May be called from the thread that writes."""
        keys = self._threads.get(thread)
        if keys is not None and keys.done() and not keys.cancelled() and not keys.exception():
            keys.result().add(key)

    async def _keys_of(self, thread: str) -> set[str]:
        found = self._threads.get(thread)
        if found is None:
            found = self._threads[thread] = asyncio.ensure_future(self._load(thread))
            if len(self._threads) > THREADS:
                self._threads.popitem(last=False)
        else:
            self._threads.move_to_end(thread)
        return found.result() if found.done() else await asyncio.shield(found)

    async def _load(self, thread: str) -> set[str]:
        try:
            return {row["key"] for row in await self._read("SELECT key FROM calls WHERE thread_id = ?", (thread,))}
        except BaseException:
            self._threads.pop(thread, None)
            raise
