"""Marks on their way while other attempts are still being made: the verifier takes them up where it has its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self

from autodata.checkpoints.records import Attempt
from autodata.domains.tasks.base import Scored

Decider = Literal["judge", "code", "truncated", "probe"]
Found = tuple[Scored, Decider]
"""What was found in an answer, and who found it."""


class EarlyMarks:
    """The marks of one document's attempts that were begun before the verifier's turn; as a context, it ends them.

    The calls are the verifier's own, by key: what is lost with the process is replayed, and nothing is paid twice. Only
    where nobody can edit the state between a solver and the verifier may there be one, or marks would be paid for that
    nobody needs.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._marking: dict[str, tuple[Attempt, asyncio.Task[Found]]] = {}
        self._groups: list[asyncio.Task[list[Found]]] = []

    def begin(self, attempt: Attempt, mark: Callable[[], Coroutine[Any, Any, Found]]) -> None:
        """Begin to mark an attempt that was just made. One of the same id that is on its way goes on."""
        if attempt.attempt_id not in self._marking:
            self._marking[attempt.attempt_id] = attempt, asyncio.create_task(mark())

    def begin_together(self, attempts: Sequence[Attempt], mark: Callable[[], Coroutine[Any, Any, list[Found]]]) -> None:
        """Begin to mark attempts that share a call, now that all of them were made. Nothing where one is on its way."""
        if any(attempt.attempt_id in self._marking for attempt in attempts):
            return
        group = asyncio.create_task(mark())
        self._groups.append(group)
        for k, attempt in enumerate(attempts):
            self.begin(attempt, partial(_one_of, group, k))

    def take(self, attempt: Attempt) -> asyncio.Task[Found] | None:
        """Return the mark on its way of exactly this attempt; None where there is none."""
        begun = self._marking.get(attempt.attempt_id)
        if begun is None or begun[0] != attempt:
            return None
        del self._marking[attempt.attempt_id]
        return begun[1]

    async def __aenter__(self) -> Self:
        """Hold the marks of a document's walk."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what nobody took: it may be paid for. A walk that was cancelled cancels it."""
        left: list[asyncio.Task[Any]] = [*(task for _, task in self._marking.values()), *self._groups]
        self._marking.clear()
        self._groups.clear()
        if isinstance(error, asyncio.CancelledError | KeyboardInterrupt | GeneratorExit):
            for task in left:
                task.cancel()
        try:
            await asyncio.gather(*left, return_exceptions=True)
        finally:
            for task in left:  # cancelled while it waited
                task.cancel()


async def _one_of(group: asyncio.Task[list[Found]], k: int) -> Found:
    """Return what was found of one attempt of a group. Cancelled alone, it leaves the others their call."""
    return (await asyncio.shield(group))[k]
