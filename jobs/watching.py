"""Where progress is shown: live on a terminal or in a notebook, a plain line now and then elsewhere."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from importlib import import_module
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.live import Live

from autodata.jobs.printable import printable
from autodata.jobs.standing import bar, duration

LOG = logging.getLogger("autodata")
LOG_EVERY_SECONDS = 30.0
"""A log has a line with the figures this often, whether anything happened or not."""
NOTEBOOK_EVERY_SECONDS = 1.0
"""A notebook's figures are drawn anew at most this often."""


class Watching(ABC):
    """What is live on a terminal or in a notebook, and a line now and then elsewhere; around the work, as a context.

    All lines that stay go to the logger `autodata` too, and to it alone without a console. `clock` and `sleep` are the
    time that it goes by.
    """

    def __init__(
        self,
        console: Console | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._console, self._clock, self._sleep = console, clock, sleep
        self._started = self._last_figures = clock()
        self._live: Live | None = None
        self._board: Board | None = None
        self._ticking: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        if self._console is not None and self._console.is_terminal:
            self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=8, transient=True)
            self._live.__enter__()
        elif self._console is not None and self._console.is_jupyter:
            self._board = Board.shown(self._board_lines())
        if self._live is None:
            self._ticking = asyncio.get_running_loop().create_task(self._tick_on())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._ticking:
            self._ticking.cancel()
        if self._board:
            self._board.show(self._board_lines())
        if self._live:
            self._live.__exit__(kind, error, at)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        LOG.info("%s", printable(text))
        if self._console is not None:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def tick(self) -> None:
        """Show the figures where it is time to: a line in a log, the whole in a notebook."""
        if self._live is not None:
            return
        every = LOG_EVERY_SECONDS if self._board is None else NOTEBOOK_EVERY_SECONDS
        if self._clock() - self._last_figures < every:
            return
        self._last_figures = self._clock()
        if self._board is not None:
            self._board.show(self._board_lines())
        else:
            self._say_figures("; ".join(self.figures()))

    def _say_figures(self, line: str) -> None:
        self.say(f"[{self._elapsed()}] {line}")

    async def _tick_on(self) -> None:
        while True:
            await self._sleep(LOG_EVERY_SECONDS if self._board is None else NOTEBOOK_EVERY_SECONDS)
            self.tick()

    def _board_lines(self) -> list[str]:
        share = self.share_done()
        return ([] if share is None else [bar(share)]) + self.figures()

    def _elapsed(self) -> str:
        return duration(self._clock() - self._started)

    def share_done(self) -> float | None:
        """Return how much of the work is done, from 0 to 1; None where that is not known."""
        return None

    @abstractmethod
    def figures(self) -> list[str]:
        """Return how the work stands, in lines."""

    @abstractmethod
    def _render(self) -> RenderableType:
        """Return what is live on a terminal."""


class Board:
    """Lines in a notebook's output that are drawn over, by IPython alone: no widgets are needed."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    @classmethod
    def shown(cls, lines: list[str]) -> Board | None:
        """Put lines into the output of the cell that runs; None where there is no IPython to do it."""
        try:
            display = import_module("IPython.display")
        except ImportError:
            return None
        return cls(display.display(_bundle(lines), raw=True, display_id=True))

    def show(self, lines: list[str]) -> None:
        """Draw other lines in their place."""
        self._handle.update(_bundle(lines), raw=True)


def _bundle(lines: list[str]) -> dict[str, str]:
    """Return lines as plain text, which every notebook shows as it is: a stranger's text is never HTML."""
    return {"text/plain": "\n".join(printable(line) for line in lines)}
