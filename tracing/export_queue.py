"""An export queue: what exporters send, in a thread of its own, in batches, and never longer than the run can wait."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_ITEMS, MOST_BYTES = 20_000, 64_000_000
"""What waits at most; beyond it nothing more is taken."""
BATCH_ITEMS, BATCH_BYTES = 200, 8_000_000
GATHER_SECONDS = 1.0
"""How long the first item of a batch waits for others."""
BACKOFF_SECONDS = (1.0, 60.0)
"""First wait before a batch is tried again, doubling, and the longest."""
REFUSALS = 3
"""Batches refused in a row after which the endpoint is given up."""

logger = logging.getLogger(__name__)


class Delivery(Enum):
    """How a batch fared."""

    DONE = "done"
    LATER = "later"
    """Nobody answered: the same batch may be tried again."""
    REFUSED = "refused"
    """It was answered, and will never be taken."""


class ExportQueue(Generic[T]):
    """A bounded queue with one daemon thread behind it, which the end of the process does not wait for."""

    def __init__(self, name: str, deliver: Callable[[list[T]], Delivery], *, gather: float = GATHER_SECONDS) -> None:
        """`deliver` is called in the thread, one batch at a time. What it raises counts as refused."""
        self.lost = 0
        """Items that were not taken or not sent."""
        self.given_up = False
        self._deliver, self._gather = deliver, gather
        self._items: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._in_hand = 0
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T, size: int = 1000) -> None:
        """Take an item of about so many bytes; it is lost when there is no room."""
        with self._changed:
            if self.given_up or len(self._items) >= MOST_ITEMS or self._bytes + size > MOST_BYTES:
                self.lost += 1
                return
            self._items.append((item, size))
            self._bytes += size
            self._changed.notify()

    def close(self, seconds: float) -> int:
        """Send what is left for at most so many seconds; return how many items were lost in all."""
        self._closing.set()
        with self._changed:
            self._changed.notify()
        self._thread.join(seconds)
        with self._changed:
            self.given_up = True  # whatever the thread still holds, nothing more is sent
            return self.lost + len(self._items) + self._in_hand

    def _work(self) -> None:
        refused = 0
        while batch := self._batch():
            fate = self._delivered(batch)
            refused = refused + 1 if fate is Delivery.REFUSED else 0
            with self._changed:
                self._in_hand = 0
                self.lost += 0 if fate is Delivery.DONE else len(batch)
                if refused == REFUSALS:
                    self.given_up = True
                    self.lost += len(self._items)
                    self._items.clear()
                    return

    def _delivered(self, batch: list[T]) -> Delivery:
        """Deliver a batch, again and again while nobody answers; once closing, a last time."""
        wait, most = BACKOFF_SECONDS
        while True:
            last = self._closing.is_set()
            try:
                fate = self._deliver(batch)
            except Exception:  # whatever is wrong with a trace, the run must not hear of it
                logger.debug("a batch of traces could not be sent", exc_info=True)
                fate = Delivery.REFUSED
            if fate is not Delivery.LATER or last or self.given_up:
                return fate
            self._closing.wait(wait)
            wait = min(most, 2 * wait)

    def _batch(self) -> list[T]:
        """Wait for items and return some; none when closing and nothing is left."""
        with self._changed:
            while not self._items and not self._closing.is_set():
                self._changed.wait()
            deadline = time.monotonic() + self._gather
            while self._items and not self._closing.is_set() and not self._full():
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            batch: list[T] = []
            size = 0
            while self._items and not self.given_up and len(batch) < BATCH_ITEMS and size < BATCH_BYTES:
                item, of_item = self._items.popleft()
                batch.append(item)
                size += of_item
            self._bytes -= size
            self._in_hand = len(batch)
            return batch

    def _full(self) -> bool:
        return len(self._items) >= BATCH_ITEMS or self._bytes >= BATCH_BYTES
