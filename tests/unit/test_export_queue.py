"""The export queue: batches, bounds, and an end that does not wait for the dead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from autodata.tracing import export_queue
from autodata.tracing.export_queue import Delivery, ExportQueue

LONG = 300.0
"""Seconds that no test takes: a wait for what comes at once."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_queue, "BACKOFF_SECONDS", (0.0, 0.0))


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a delivery waits for that nobody answers; opened at the end, so that its thread ends."""
    event = threading.Event()
    yield event
    event.set()


def blocked(gate: threading.Event) -> tuple[ExportQueue[int], threading.Event]:
    """Return an export queue whose deliveries wait for the gate, and what is set when the first has begun."""
    busy = threading.Event()

    def deliver(batch: list[int]) -> Delivery:
        busy.set()
        gate.wait()
        return Delivery.DONE

    return ExportQueue("test", deliver, gather=0.0), busy


def test_what_comes_together_goes_together() -> None:
    batches: list[list[int]] = []

    def deliver(batch: list[int]) -> Delivery:
        batches.append(batch)
        return Delivery.DONE

    queue: ExportQueue[int] = ExportQueue("test", deliver, gather=LONG)
    for number in range(450):
        queue.put(number)
    assert queue.close(LONG) == 0
    assert [number for batch in batches for number in batch] == list(range(450))
    assert [len(batch) for batch in batches] == [200, 200, 50]


def test_a_batch_is_no_larger_than_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_queue, "BATCH_BYTES", 250)
    sizes: list[int] = []

    def deliver(batch: list[str]) -> Delivery:
        sizes.append(len(batch))
        return Delivery.DONE

    queue: ExportQueue[str] = ExportQueue("test", deliver, gather=LONG)
    for _ in range(6):
        queue.put("x", size=100)
    assert queue.close(LONG) == 0
    assert sizes == [3, 3]


def test_nobody_answers_and_then_somebody_does() -> None:
    fates = [Delivery.LATER, Delivery.LATER, Delivery.DONE]
    seen: list[list[int]] = []
    done = threading.Event()

    def deliver(batch: list[int]) -> Delivery:
        seen.append(batch)
        fate = fates.pop(0)
        if fate is Delivery.DONE:
            done.set()
        return fate

    queue: ExportQueue[int] = ExportQueue("test", deliver, gather=0.0)
    queue.put(7)
    assert done.wait(LONG)
    assert queue.close(LONG) == 0
    assert seen == [[7], [7], [7]]


def test_what_is_refused_again_and_again_is_given_up() -> None:
    tries: list[int] = []

    def deliver(batch: list[int]) -> Delivery:
        tries.append(len(batch))
        if len(tries) == 2:
            raise ValueError("whatever it is")
        return Delivery.REFUSED

    queue: ExportQueue[int] = ExportQueue("test", deliver, gather=LONG)
    for number in range(1000):
        queue.put(number)
    assert queue.close(LONG) == 1000
    assert tries == [200, 200, 200]
    queue.put(1)
    assert queue.lost == 1001


def test_the_end_does_not_wait_for_the_dead(gate: threading.Event) -> None:
    queue, busy = blocked(gate)
    queue.put(1)
    assert busy.wait(LONG)
    queue.put(2)
    queue.put(3)
    assert queue.close(0.01) == 3
    assert queue._thread.is_alive()
    assert queue._thread.daemon, "the process must not wait for it"


def test_what_has_no_room_is_lost_and_counted(monkeypatch: pytest.MonkeyPatch, gate: threading.Event) -> None:
    monkeypatch.setattr(export_queue, "MOST_BYTES", 1000)
    queue, busy = blocked(gate)
    queue.put(0, size=10)
    assert busy.wait(LONG)
    for number in range(15):
        queue.put(number, size=100)
    assert queue.lost == 5
    gate.set()
    assert queue.close(LONG) == 5
