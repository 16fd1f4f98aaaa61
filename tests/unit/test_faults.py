"""What happened to a request, in plain words; and which failures of documents have one cause."""

from __future__ import annotations

import asyncio
import socket
import ssl
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
import openai
import pytest

from autodata.checkpoints.errors import cause_of
from autodata.models.faults import TimedOut, classify, describe

REQUEST: Any = httpx.Request("POST", "http://endpoint.test/v1/chat/completions")
RESPONSE: Any = httpx.Response(200, request=REQUEST)


ASKED: Any = SimpleNamespace(real_url="http://endpoint.test")
JUNK = aiohttp.ClientResponseError(ASKED, (), message="Bad status line")


def wrapped(inner: BaseException) -> Exception:
    """Return an exception as the client raises it: to it, all that is no reply is a request that timed out."""
    between = httpx.ConnectTimeout(str(inner))
    between.__cause__ = inner
    outer = openai.APITimeoutError(REQUEST)
    outer.__cause__ = between
    return outer


@pytest.mark.parametrize(
    ("error", "words", "billed"),
    [
        (wrapped(ConnectionRefusedError(111, "Connect call failed")), "connection was refused", False),
        (wrapped(socket.gaierror(-2, "Name or service not known")), "name could not be resolved", False),
        (wrapped(ssl.SSLError(1, "WRONG_VERSION_NUMBER")), "no secure connection (TLS)", False),
        (wrapped(ssl.SSLCertVerificationError("self-signed")), "no secure connection (TLS)", False),
        (wrapped(ConnectionResetError(104, "reset by peer")), "closed the connection", False),
        (wrapped(aiohttp.ServerDisconnectedError()), "closed the connection", False),
        (wrapped(aiohttp.ClientPayloadError("not completed")), "closed the connection", False),
        (wrapped(aiohttp.ConnectionTimeoutError("slow")), "timed out", False),
        (wrapped(aiohttp.SocketTimeoutError("slow")), "timed out", True),
        (JUNK, "unreadable response", False),
        (TimeoutError(), "timed out", True),
        (TimedOut(30, "verifier"), "timed out: no whole reply within 30 s (models.verifier.timeout)", True),
        (httpx.ReadTimeout("slow"), "timed out", True),
    ],
)
def test_what_happened_is_reported_in_plain_words(error: Exception, words: str, billed: bool) -> None:
    described = describe(error)
    assert words in described
    assert ("timed out" in described) is ("timed out" in words)
    fault = classify(error)
    assert fault is not None
    assert (fault.kind, fault.may_be_billed) == ("retry", billed)


@pytest.mark.parametrize(
    ("error", "billed"),
    [
        (ValueError("No JSON in it"), True),
        (TypeError("Received response with null value for 'choices'."), True),
        (KeyError("choices"), True),
        (openai.APIResponseValidationError(RESPONSE, None), True),
        (ValueError({"code": 429, "message": "slow down"}), False),
        (openai.APIConnectionError(request=REQUEST), False),
    ],
    ids=["no JSON", "no choices", "a key lacks", "not as it should be", "an error in its place", "no answer"],
)
def test_a_reply_that_cannot_be_read_may_be_billed_and_an_error_is_not(error: Exception, billed: bool) -> None:
    fault = classify(error)
    assert fault is not None
    assert (fault.kind, fault.may_be_billed, fault.unreadable) == ("retry", billed, billed)


def test_a_chain_of_exceptions_that_runs_in_a_circle_ends() -> None:
    one, other = OSError("one"), OSError("other")
    one.__cause__, other.__cause__ = other, one
    assert asyncio.run(asyncio.to_thread(describe, one))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("HTTP 400: bad input (request 7f3a91)", "HTTP 400: bad input (request 99)", True),
        ("document 'a.md' is refused", 'document "b.md" is refused', True),
        ("no reply in 6 attempts: timed out", "no reply in 3 attempts: timed out", True),
        ("no reply in 6 attempts: timed out", "no reply in 6 attempts: refused", False),
        ("the reply was empty", "the reply was cut off", False),
    ],
)
def test_causes_are_the_same_but_for_numbers_ids_and_quotes(one: str, other: str, same: bool) -> None:
    assert (cause_of("call_failed", one) == cause_of("call_failed", other)) is same
    assert cause_of("call_failed", one) != cause_of("defect", one)
