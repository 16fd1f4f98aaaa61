"""Where requests go, in one form, and how many may be on their way there at once.

The number follows what a server can take: it halves when the server says that it is asked too much, and grows by one
each time that as many requests were answered (additive increase, multiplicative decrease, as TCP does).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlencode, urlsplit

_PORTS = {"http": 80, "https": 443}


def address_of(base_url: str | None, query: Mapping[str, str] | None = None) -> str:
    """Return an address in the one form by which it is known: host in small letters, no usual port, no last slash.

    What stands behind its `?` belongs to it, but for `api-version`: that changes the form of requests alone.
    """
    if not base_url:
        return ""
    parts = urlsplit(base_url)
    host, scheme = (parts.hostname or "").lower(), parts.scheme.lower()
    with contextlib.suppress(ValueError):
        if parts.port not in {None, _PORTS.get(scheme)}:
            host += f":{parts.port}"
    reported = sorted((name, value) for name, value in (query or {}).items() if name != "api-version")
    return f"{scheme}://{host}{parts.path.rstrip('/')}" + (f"?{urlencode(reported)}" if reported else "")


class Slots:
    """So many at once, first come, first served. The number may change while slots are taken."""

    def __init__(self, most: int) -> None:
        self.most = most
        """The number that was asked for."""
        self.limit = most
        """The number for now."""
        self.reductions = 0
        """How often the number was lowered because the server was asked too much."""
        self.granted: Callable[[], int] | None = None
        """How many of the number other processes leave to this one at this moment; None where it has no others."""
        self._taken = 0
        self._answered = 0
        self._before = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def taken(self) -> int:
        """How many are held."""
        return self._taken

    @property
    def wanted(self) -> int:
        """How many are held or waited for."""
        return self._taken + len(self._queue)

    @property
    def lapsed(self) -> bool:
        """Whether other processes leave nothing to this one now: what holds a slot is not sent either."""
        return self.granted is not None and self.granted() <= 0

    @property
    def _room(self) -> int:
        return self.limit if self.granted is None else min(self.limit, self.granted())

    def look_again(self) -> None:
        """Hand slots on, for `granted` may be higher now."""
        self._hand_on()

    def narrow(self, most: int) -> None:
        """Lower the number that was asked for to `most`, if it is higher."""
        self.most = min(self.most, most)
        self.limit = min(self.limit, self.most)

    def reduce(self, seen: int) -> None:
        """Halve the number, for a request was refused that left after `seen` reductions.

        Those that had left before the latest one say nothing new: a burst of refusals halves it once.
        """
        if seen == self.reductions:
            self.limit = max(1, min(self.limit, self._taken) // 2)
            self.reductions += 1
            self._answered = 0

    def answered(self) -> None:
        """Count an answered request; after as many as the number for now, it grows by one, up to what was asked for."""
        if self.limit < self.most and not self._before:
            self._answered += 1
            if self._answered >= self.limit:
                self._answered = 0
                self.limit += 1
                self._hand_on()

    def one_at_a_time(self) -> None:
        """Lower the number to one, until `side_by_side`."""
        self._before = max(self._before, self.limit)
        self.limit = 1

    def side_by_side(self) -> None:
        """Set the number to half of what it was before `one_at_a_time`."""
        if self._before:
            self.limit = min(self.most, max(1, self._before // 2))
            self._before = 0
            self._hand_on()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot for as long as the context lasts."""
        if self._queue or self._taken >= self._room:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # the slot had been handed over already
                    self._taken -= 1
                with contextlib.suppress(ValueError):
                    self._queue.remove(turn)
                self._hand_on()
                raise
        else:
            self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
            self._hand_on()

    def _hand_on(self) -> None:
        while self._queue and self._taken < self._room:
            turn = self._queue.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)
