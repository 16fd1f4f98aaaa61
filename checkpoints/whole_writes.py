"""Writes of a checkpoint saver that are done to their end, whoever waits for them being cancelled or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

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


class _Save(NamedTuple):
    statement: str
    rows: Sequence[tuple[Any, ...]]
    done: asyncio.Future[None]


class Together:
    """Rows that are written together: whatever came while a transaction was on its way goes into the next one."""

    def __init__(self, writes: WholeWrites, commit: Callable[[Statements], Coroutine[Any, Any, None]]) -> None:
        """Commit with this, all or nothing; `writes` finishes what has begun."""
        self._writes, self._commit = writes, commit
        self._waiting: list[_Save] = []
        self._on_its_way = False
        self._turn = asyncio.Lock()

    async def save(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows; return once they are committed. Raises what these rows raised, not what others did."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._on_its_way:
            self._writes.begun(self._written())
            self._on_its_way = True
        self._waiting.append(_Save(statement, rows, done))
        await asyncio.shield(done)

    async def _written(self) -> None:
        async with self._turn:
            taken, self._waiting, self._on_its_way = self._waiting, [], False
            outcomes: list[BaseException | None] = [asyncio.CancelledError()] * len(taken)
            try:
                outcomes = await self._outcomes(taken)
            finally:
                for save, error in zip(taken, outcomes, strict=True):
                    _resolve(save.done, error)

    async def _outcomes(self, taken: Sequence[_Save]) -> list[BaseException | None]:
        """Commit saves and return what became of each. Where not all can be, each is a transaction of its own."""
        try:
            await self._commit(
                [
                    (statement, [row for save in group for row in save.rows])
                    for statement, group in groupby(taken, key=attrgetter("statement"))
                ]
            )
        except Exception as error:  # noqa: BLE001 - raised for whoever's rows it was
            if len(taken) == 1:
                return [error]
            return [outcome for save in taken for outcome in await self._outcomes([save])]
        return [None] * len(taken)


def _resolve(done: asyncio.Future[None], error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    elif isinstance(error, asyncio.CancelledError):
        done.cancel()
    else:
        done.set_exception(error)
        done.exception()  # whoever waited for it may have been cancelled
