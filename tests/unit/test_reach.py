"""Addresses at which nothing is: given up soon where nothing ever answered, waited for where something did."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import socket
from typing import Any

import httpx
import pytest

from autodata.checkpoints.errors import CallFailed, EndpointDown
from autodata.checkpoints.ledger import MemoryLedger
from autodata.models.caller import Caller
from autodata.models.config import ModelSettings, RetryConfig
from autodata.models.endpoint import Endpoint
from autodata.models.faults import classify
from autodata.models.reach import Reach
from autodata.models.role_model import RoleModel
from tests.unit.scripted import ASK, SITE, Script, Scripted, Status
from tests.unit.test_endpoint import caller_of, endpoint_of


def caused(cause: BaseException) -> httpx.ConnectError:
    """Return the error of an HTTP client that a system's error caused."""
    error = httpx.ConnectError("All connection attempts failed")
    error.__cause__ = cause
    return error


def refused() -> httpx.ConnectError:
    return caused(ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"))


UNKNOWN = caused(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
BOTH = caused(OSError("All attempts failed"))
BOTH.__cause__.__cause__ = ExceptionGroup("both", [refused(), refused()])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("error", "nothing", "words"),
    [
        (refused(), True, "nothing listens at that address"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "no"), True, "nothing listens"),
        (BOTH, True, "nothing listens"),
        (UNKNOWN, True, "name could not be resolved"),
        (caused(OSError(errno.EHOSTUNREACH, "No route to host")), True, "the host cannot be reached"),
        (caused(ConnectionResetError(errno.ECONNRESET, "reset")), False, "closed the connection"),
        (httpx.ConnectError("no reason"), False, "no reason"),
        (httpx.ReadTimeout("slow"), False, "timed out"),
        (Status(503), False, "503"),
    ],
)
def test_what_shows_that_nothing_is_there(error: Exception, nothing: bool, words: str) -> None:
    fault = classify(error)
    assert fault is not None
    assert fault.kind == "retry"
    assert fault.nothing_there is nothing
    assert words in fault.message
    assert not (nothing and fault.may_be_billed)


@pytest.mark.parametrize(
    ("error", "words"),
    [(refused(), "see that a server answers at"), (UNKNOWN, "check the host in base_url")],
)
async def test_an_address_where_nothing_ever_answered_is_given_up_soon(error: Exception, words: str) -> None:
    chat = Scripted(script=[error])
    model = RoleModel(ModelSettings(model="m", base_url="http://gone.test/v1"), chat, Endpoint("m", 16))
    caller = Caller(MemoryLedger(), {"solver": model}, retries=RetryConfig(base_seconds=0, pause_after=9))
    with pytest.raises(EndpointDown, match="nothing was reached in 3 tries") as raised:
        await caller.text(SITE, ASK)
    assert words in str(raised.value)
    assert "http://gone.test/v1" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(chat.asked) == 3


async def test_requests_that_left_together_count_once() -> None:
    chat = Scripted(script=[refused()])
    caller = caller_of(chat, Endpoint("m", 8, structured=False))
    sites = [dataclasses.replace(SITE, index=str(n)) for n in range(20)]
    ended = await asyncio.gather(*(caller.text(site, ASK) for site in sites), return_exceptions=True)
    assert {type(one) for one in ended} == {EndpointDown}
    assert 3 <= len(chat.asked) <= 3 * 8
    reach = Reach()
    assert [reach.missed(0), reach.missed(0), reach.missed(1), reach.missed(0)] == [1, 1, 2, 2]


async def test_the_waits_hold_everybody_back_and_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[tuple[float, bool]] = []

    async def note(self: Endpoint, seconds: float) -> None:
        waited.append((seconds, self._free.is_set()))

    monkeypatch.setattr(Endpoint, "pause", note)
    with pytest.raises(EndpointDown):
        await caller_of(Scripted(script=[refused()]), base_seconds=1).text(SITE, ASK)
    assert waited == [(1.0, False), (2.0, False)]


SEEN: list[tuple[str, list[Script]]] = [
    ("a reply", ["Yes."]),
    ("an error of the server's", [Status(503)]),
    ("a connection that broke", [ConnectionResetError("reset")]),
]


@pytest.mark.parametrize("before", [script for _, script in SEEN], ids=[name for name, _ in SEEN])
async def test_a_server_that_was_there_is_waited_for(before: list[Script]) -> None:
    chat = Scripted(script=[*before, *[refused()] * 4, "No."])
    caller = caller_of(chat, max_attempts=6)
    first = await caller.text(SITE, ASK)
    second = first if first.text == "No." else await caller.text(dataclasses.replace(SITE, index="1"), ASK)
    assert second.text == "No."
    assert len(chat.asked) == 6


async def test_so_is_one_that_answered_in_an_earlier_session() -> None:
    chat = Scripted(script=[refused()])
    caller = caller_of(chat, max_attempts=5)
    endpoint_of(caller).known = True
    with pytest.raises(CallFailed, match="no reply in 5 attempts"):
        await caller.text(SITE, ASK)
    assert endpoint_of(caller).down is None


async def test_a_server_that_is_still_starting_is_waited_for_where_the_setting_says_so() -> None:
    script: list[Any] = [*[refused()] * 9, "Yes."]
    chat = Scripted(script=script)
    assert (await caller_of(chat, max_attempts=2, unreached_tries=10).text(SITE, ASK)).text == "Yes."
    assert len(chat.asked) == 10
