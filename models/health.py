"""How an endpoint does at this moment, for those who watch: nothing is decided by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Health:
    """Requests and failures of one endpoint in this session."""

    in_flight: int = 0
    """Requests that were sent and not answered yet."""
    waiting: int = 0
    """Calls that wait before they are tried again."""
    errors: int = 0
    """Requests that failed."""
    last_error: str = ""

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count one request for as long as the context lasts."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    @contextmanager
    def retry(self) -> Iterator[None]:
        """Count one call that waits for its next attempt for as long as the context lasts."""
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    def failed(self, message: str) -> None:
        """Note a request that failed."""
        self.errors += 1
        self.last_error = message
