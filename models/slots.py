"""Where requests go, in one form, and how many may be on their way there at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Mapping
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
    """So many at once, first come, first served. The number may be lowered while slots are taken."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    def narrow(self, limit: int) -> None:
        """Lower the number to `limit`, if it is higher."""
        self.limit = min(self.limit, limit)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot for as long as the context lasts."""
        if self._queue or self._taken >= self.limit:
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
        while self._queue and self._taken < self.limit:
            turn = self._queue.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)
