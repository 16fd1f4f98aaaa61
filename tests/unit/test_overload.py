"""A server that is asked too much is asked less, one that gives no reply is asked by one request at a time."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from typing import Any

import pytest
from langchain_core.outputs import ChatResult
from pydantic import Field

from autodata.checkpoints.errors import EndpointDown
from autodata.checkpoints.ledger import MemoryLedger
from autodata.models.caller import Caller
from autodata.models.config import ModelSettings, RetryConfig
from autodata.models.endpoint import PROBE_AFTER, Endpoint
from autodata.models.faults import Fault
from autodata.models.role_model import RoleModel
from autodata.models.slots import Slots
from tests.unit.scripted import ASK, SITE, Scripted, Status

AT_FIRST = 8 + PROBE_AFTER
"""Requests of 8 slots before one probes for all: those under way, and those in the slots of the first that failed."""


class Crowded(Scripted):
    """A server in this process that works on `room` requests at once and refuses more; with none it is out of order."""

    script: list[Any] = Field(default=["Yes."])
    room: int
    status: int = 429
    back_at: int | None = None
    """The request at which it has room for all again."""
    inside: int = 0
    refused: int = 0
    crowd: list[int] = Field(default_factory=list)
    """How many requests it worked on when each came, that one included."""

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        self.inside += 1
        self.crowd.append(self.inside)
        if len(self.crowd) == self.back_at:
            self.room = 100
        try:
            if self.inside > self.room:
                await asyncio.sleep(0)
                self.refused += 1
                raise Status(self.status)
            for _ in range(20):
                await asyncio.sleep(0)
            return await super()._agenerate(*args, **kwargs)
        finally:
            self.inside -= 1


def caller_at(server: Crowded, most: int, **retries: Any) -> Caller:
    model = RoleModel(ModelSettings(model="m"), server, Endpoint("m at endpoint", most))
    return Caller(MemoryLedger(), {"solver": model}, retries=RetryConfig(**({"base_seconds": 0} | retries)))


async def ask_all(caller: Caller, count: int) -> list[Any]:
    sites = [dataclasses.replace(SITE, index=str(n)) for n in range(count)]
    return await asyncio.gather(*(caller.text(site, ASK) for site in sites), return_exceptions=True)


async def test_a_crowded_server_is_asked_as_much_as_it_takes() -> None:
    server = Crowded(room=5)
    caller = caller_at(server, 32, max_attempts=50, probes=50)
    results = await ask_all(caller, 120)
    assert not [result for result in results if isinstance(result, BaseException)]
    slots = caller.roles["solver"].endpoint.slots
    assert slots.most == 32
    assert slots.limit <= 2 * server.room
    assert server.refused < len(server.crowd) / 2


async def test_a_server_with_room_is_asked_as_much_as_was_set() -> None:
    server = Crowded(room=32)
    caller = caller_at(server, 32)
    await ask_all(caller, 64)
    assert (caller.roles["solver"].endpoint.slots.limit, max(server.crowd), server.refused) == (32, 32, 0)


async def test_a_dead_server_gets_a_few_requests_however_many_calls_wait() -> None:
    server = Crowded(room=0, status=500)
    caller = caller_at(server, 8)
    results = await ask_all(caller, 100)
    assert {type(result) for result in results} == {EndpointDown}
    assert "24 requests in a row, sent one at a time, got no reply: status 500" in str(results[0])
    assert len(server.crowd) <= AT_FIRST + 24  # and the probes


async def test_calls_that_fail_several_times_do_not_give_a_server_up() -> None:
    """All calls under way fail in all their attempts but the last, and no other call is there to show that it lives."""

    class Stubborn(Crowded):
        async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
            self.room = 9 if self.failures[kwargs["seed"]] == 5 else 0
            self.failures[kwargs["seed"]] += 1
            return await super()._agenerate(*args, **kwargs)

        failures: Counter[int] = Field(default_factory=Counter)

    server = Stubborn(room=0, status=500)
    results = await ask_all(caller_at(server, 8), 4)
    assert not [result for result in results if isinstance(result, BaseException)]
    assert set(server.failures.values()) == {6}


async def test_a_server_that_comes_back_is_asked_side_by_side_again() -> None:
    server = Crowded(room=0, status=502, back_at=20)
    caller = caller_at(server, 8, probes=1000, max_attempts=1000)
    endpoint = caller.roles["solver"].endpoint
    results = await ask_all(caller, 60)
    assert not [result for result in results if isinstance(result, BaseException)]
    assert set(server.crowd[AT_FIRST:20]) == {1}
    assert endpoint.probes is None
    assert endpoint.slots.limit == max(server.crowd) == 8


async def test_one_call_that_always_fails_takes_nobody_along() -> None:
    """Only several calls without a reply make an endpoint doubtful, not one call in all its attempts."""
    server = Crowded(room=0, status=500)
    caller = caller_at(server, 8, max_attempts=20, pause_after=9)
    await ask_all(caller, PROBE_AFTER - 1)
    endpoint = caller.roles["solver"].endpoint
    assert (endpoint.probes, endpoint.slots.limit, endpoint.down) == (None, 8, None)
    assert len(server.crowd) == 20 * (PROBE_AFTER - 1)


@pytest.mark.parametrize(("taken", "limit"), [(16, 8), (3, 1), (1, 1)])
async def test_a_burst_of_refusals_halves_the_number_once(taken: int, limit: int) -> None:
    slots = Slots(16)
    release = asyncio.Event()

    async def hold() -> None:
        async with slots.slot():
            await release.wait()

    tasks = [asyncio.create_task(hold()) for _ in range(taken)]
    await asyncio.sleep(0)
    seen = slots.reductions
    for _ in range(taken):
        slots.reduce(seen)
    assert (slots.limit, slots.reductions) == (limit, 1)
    release.set()
    await asyncio.gather(*tasks)
    for _ in range(sum(range(limit, 16))):
        slots.answered()
    assert slots.limit == 16
    slots.answered()
    assert slots.limit == 16
    slots.narrow(4)
    assert (slots.most, slots.limit) == (4, 4)


async def test_a_refusal_shows_that_a_server_is_back() -> None:
    """Whoever answers at all is no longer asked by one request at a time, though no reply has come."""
    endpoint = Endpoint("m at endpoint", 8)
    fault = Fault("retry", "HTTP 502", status=502)
    for number in range(PROBE_AFTER):
        endpoint.failed(str(number), fault, endpoint.leaving(), 6)
    assert (endpoint.probes, endpoint.slots.limit) == (0, 1)
    endpoint.responded()
    assert (endpoint.probes, endpoint.slots.limit) == (None, 4)
