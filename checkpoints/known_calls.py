"""Which calls the journal holds, by thread: a call that is not there costs no look into the file."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

THREADS: Final = 4096
"""Threads whose keys are held in memory, those asked for last: more than a run works on at once."""


@dataclass(eq=False)
class _Thread:
    """The keys of a thread's calls, complete once `read` is done; what is saved meanwhile is noted too."""

    keys: set[str] = field(default_factory=set)
    read: asyncio.Future[None] = field(init=False)


class KnownCalls:
    """The keys of the calls of the threads in work, read once a thread."""

    def __init__(self, read: Callable[[str, Sequence[Any]], Awaitable[list[dict[str, Any]]]]) -> None:
        """Read with this, on one event loop."""
        self._read = read
        self._threads: OrderedDict[str, _Thread] = OrderedDict()

    async def hold(self, key: str, thread: str) -> bool:
        """Whether the journal holds this call, of this thread or, in folders of early versions, of none."""
        return key in await self._keys_of(thread) or key in await self._keys_of("")

    def note(self, key: str, thread: str) -> None:
        """Note a call that was saved. May be called from the thread that writes, also while the keys are read."""
        if (found := self._threads.get(thread)) is not None:
            found.keys.add(key)

    async def _keys_of(self, thread: str) -> set[str]:
        found = self._threads.get(thread)
        if found is None:
            found = self._threads[thread] = _Thread()
            found.read = asyncio.ensure_future(self._load(thread, found))
            if len(self._threads) > THREADS:
                self._threads.popitem(last=False)
        else:
            self._threads.move_to_end(thread)
        if not found.read.done():
            await asyncio.shield(found.read)
        found.read.result()
        return found.keys

    async def _load(self, thread: str, found: _Thread) -> None:
        try:
            rows = await self._read("SELECT key FROM calls WHERE thread_id = ?", (thread,))
        except BaseException:
            if self._threads.get(thread) is found:
                del self._threads[thread]
            raise
        found.keys.update([row["key"] for row in rows])
