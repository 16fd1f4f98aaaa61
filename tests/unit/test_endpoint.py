"""Endpoints: what is tried again and when, what gives an endpoint up, and which structured output it takes."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import openai
import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field, SecretStr

from autodata.checkpoints.errors import CallFailed, Drained, EndpointDown, UnusableReply
from autodata.checkpoints.ledger import MemoryLedger
from autodata.models.caller import Caller
from autodata.models.config import ModelSettings, RetryConfig
from autodata.models.endpoint import Endpoint
from autodata.models.faults import classify, describe
from autodata.models.role_model import RoleModel
from autodata.models.slots import Slots, address_of
from tests.support.stages import first_quick
from tests.unit.scripted import ASK, SITE, Script, Scripted, Status

REQUEST: Any = httpx.Request("POST", "http://endpoint.test/v1/chat/completions")
YES = {"role": "assistant", "content": "Yes."}
FOREVER = 3600.0


class Answer(BaseModel):
    value: int


def reply(**changed: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": YES}
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return whole | changed


def refusal(status: int, code: str | None = None, headers: dict[str, str] | None = None) -> httpx.Response:
    error = {"message": "y" * 400, "type": code, "param": None, "code": code}
    return httpx.Response(status, json={"error": error}, headers=headers)


def over_http(*responses: httpx.Response | Exception) -> tuple[ChatOpenAI, list[httpx.Request]]:
    """Return a real client whose requests are answered in this process; the last response repeats."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        response = responses[min(len(asked), len(responses)) - 1]
        if isinstance(response, Exception):
            raise response
        return httpx.Response(response.status_code, headers=response.headers, content=response.content)

    chat = ChatOpenAI(
        model="m",
        base_url="http://endpoint.test/v1",
        api_key=SecretStr("none"),
        max_retries=0,
        use_responses_api=False,
        http_async_client=httpx.AsyncClient(transport=httpx.MockTransport(answer)),
    )
    return chat, asked


def caller_of(
    chat: Any, endpoint: Endpoint | None = None, timeout: float = 60, sends_seed: bool = True, **retries: Any
) -> Caller:
    model = RoleModel(
        ModelSettings(model="m", timeout=timeout),
        chat,
        endpoint or Endpoint("m at endpoint", 16, structured=False),
        sends_seed,
    )
    return Caller(MemoryLedger(), {"solver": model}, retries=RetryConfig(**({"base_seconds": 0} | retries)))


def endpoint_of(caller: Caller) -> Endpoint:
    return caller.roles["solver"].endpoint


@pytest.mark.parametrize(
    ("response", "requests", "error"),
    first_quick(
        (refusal(408), 3, CallFailed),
        (refusal(409), 3, CallFailed),
        (refusal(429), 3, CallFailed),
        (refusal(500), 3, CallFailed),
        (refusal(502), 3, CallFailed),
        (refusal(503), 3, CallFailed),
        (refusal(529), 3, CallFailed),
        (httpx.ConnectError("refused"), 3, CallFailed),
        (httpx.ReadTimeout("too slow"), 3, CallFailed),
        (httpx.RemoteProtocolError("closed"), 3, CallFailed),
        (httpx.Response(200, text="<html>busy</html>", headers={"content-type": "text/html"}), 3, CallFailed),
        (httpx.Response(200, text="{nope", headers={"content-type": "application/json"}), 3, CallFailed),
        (httpx.Response(200, text="", headers={"content-type": "application/json"}), 3, CallFailed),
        (httpx.Response(200, json=[1]), 3, CallFailed),
        (httpx.Response(200, json={"error": {"message": "busy"}}), 3, CallFailed),
        (httpx.Response(200, json=reply(choices=None)), 3, CallFailed),
        (httpx.Response(200, json=reply(choices=[])), 3, CallFailed),
        (
            httpx.Response(200, json=reply(choices=[{"index": 0, "finish_reason": "stop", "message": None}])),
            3,
            CallFailed,
        ),
        (refusal(400), 3, EndpointDown),  # a trivial question, to tell the settings from this very input; no seed
        (refusal(413), 1, CallFailed),
        (refusal(422), 3, EndpointDown),
        (refusal(401), 1, EndpointDown),
        (refusal(402), 1, EndpointDown),
        (refusal(403), 1, EndpointDown),
        (refusal(404), 1, EndpointDown),
        (refusal(429, "insufficient_quota"), 1, EndpointDown),
        quick=10,
    ),
)
async def test_what_a_failure_over_http_leads_to(
    response: httpx.Response | Exception, requests: int, error: type[Exception]
) -> None:
    chat, asked = over_http(response)
    caller = caller_of(chat, max_attempts=3)
    with pytest.raises(error) as raised:
        await caller.text(SITE, ASK)
    assert len(asked) == requests
    assert (endpoint_of(caller).down is not None) is (error is EndpointDown)
    assert "m at endpoint" in str(raised.value)
    assert "\n" not in str(raised.value)
    if isinstance(raised.value, CallFailed):
        assert raised.value.refused is (requests == 1)


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (400, "", "look at temperature, top_p, max_tokens and extra_body"),
        (429, "", "the limit of the account or server is reached: wait, or lower max_concurrency"),
        (500, "", "the server fails: look at its log"),
        (401, "", "check the key in OPENAI_API_KEY"),
        (402, "", "the account has no credit left"),
        (403, "", "check what the key in OPENAI_API_KEY may use"),
        (404, "", "check model 'm' and base_url, which ends in /v1 as a rule"),
        (429, "insufficient_quota", "look at the account's plan and billing"),
    ],
)
async def test_an_endpoint_that_is_given_up_says_what_to_do(status: int, code: str, advice: str) -> None:
    chat, _ = over_http(refusal(status, code))
    with pytest.raises(EndpointDown) as raised:
        await caller_of(chat, pause_after=1).text(SITE, ASK)
    assert str(raised.value).endswith(f": {advice}")


async def test_a_request_that_fails_now_and_then_gets_its_reply() -> None:
    chat, asked = over_http(
        refusal(503), httpx.ConnectError("refused"), refusal(429), httpx.Response(200, json=reply())
    )
    assert (await caller_of(chat, max_attempts=4).text(SITE, ASK)).text == "Yes."
    bodies = {request.content for request in asked}
    assert (len(asked), len(bodies)) == (4, 1)  # the same request each time, seed included


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), "retry"),
        (ConnectionResetError("reset"), "retry"),
        (httpx.ReadError("cut"), "retry"),
        (openai.APITimeoutError(REQUEST), "retry"),
        (openai.APIConnectionError(request=REQUEST), "retry"),
        (Status(425), "retry"),
        (Status(504), "retry"),
        (Status(418), "refused"),
        (Status(404), "down"),
        (ValueError("no chat completion"), "retry"),
        (ZeroDivisionError("a defect"), None),
        (AssertionError("a defect"), None),
        (EndpointDown("elsewhere"), None),
    ],
)
def test_what_an_exception_means(error: Exception, kind: str | None) -> None:
    fault = classify(error)
    assert (fault and fault.kind) == kind
    assert fault is None or fault.message


async def test_a_403_is_about_the_input_once_the_endpoint_has_answered() -> None:
    chat, _ = over_http(httpx.Response(200, json=reply()), refusal(403), httpx.Response(200, json=reply()))
    caller = caller_of(chat)
    await caller.text(SITE, ASK)
    with pytest.raises(CallFailed, match="refused the request") as raised:
        await caller.text(dataclasses.replace(SITE, index="1"), ASK)
    assert raised.value.refused
    assert endpoint_of(caller).down is None
    await caller.text(dataclasses.replace(SITE, index="2"), ASK)


@pytest.mark.parametrize("response", [refusal(401), refusal(403, "insufficient_quota")])
async def test_other_refusals_of_the_key_give_up_an_endpoint_that_has_answered(response: httpx.Response) -> None:
    chat, _ = over_http(httpx.Response(200, json=reply()), response)
    caller = caller_of(chat)
    await caller.text(SITE, ASK)
    with pytest.raises(EndpointDown):
        await caller.text(dataclasses.replace(SITE, index="1"), ASK)


async def test_a_defect_surfaces_as_it_is() -> None:
    chat = Scripted(script=[ZeroDivisionError("a defect")])
    with pytest.raises(ZeroDivisionError, match="a defect"):
        await caller_of(chat).text(SITE, ASK)
    assert len(chat.asked) == 1


class Hanging(Scripted):
    """Never replies; the time that its request has runs out once it hangs."""

    limits: list[asyncio.Timeout] = Field(default_factory=list)

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.asked.append(([], kwargs))
        self.limits[-1].reschedule(asyncio.get_running_loop().time())
        await asyncio.Event().wait()
        raise AssertionError("never")


async def test_a_request_that_hangs_is_given_up_and_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    chat, real = Hanging(script=[]), asyncio.timeout

    def limited(seconds: float) -> asyncio.Timeout:
        assert seconds == 7
        chat.limits.append(real(None))
        return chat.limits[-1]

    monkeypatch.setattr(asyncio, "timeout", limited)
    words = r"no reply in 2 attempts: timed out: no whole reply within 7 s \(models\.solver\.timeout\)"
    with pytest.raises(CallFailed, match=words):
        await caller_of(chat, timeout=7, max_attempts=2).text(SITE, ASK)
    assert len(chat.asked) == 2


async def waits(monkeypatch: pytest.MonkeyPatch, chat: Any, **retries: Any) -> list[float]:
    """Return the seconds that a call which never gets a reply waits between its requests, without waiting."""
    waited: list[float] = []

    async def note(self: Endpoint, seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(Endpoint, "pause", note)
    with pytest.raises(CallFailed):
        await caller_of(chat, **retries).text(SITE, ASK)
    return waited


async def test_waits_double_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 1.0)
    found = await waits(monkeypatch, Scripted(script=[Status(503)]), base_seconds=1, max_seconds=10, max_attempts=7)
    assert found == [1, 2, 4, 8, 10, 10]


async def test_waits_are_random_below_that(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await waits(monkeypatch, Scripted(script=[Status(503)]), base_seconds=1, max_seconds=10, max_attempts=7)
    assert all(0 <= wait < bound for wait, bound in zip(found, [1, 2, 4, 8, 10, 10], strict=True))
    assert len(set(found)) == 6


def at(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    first_quick(
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        ("70", 70, 70),  # the longest wait of our own is no bound
        ("1000", 900, 900),
        pytest.param(at(1e6), 900, 900, id="a date ahead"),
        pytest.param(at(-1e6), 0, 0, id="a date gone by"),
        ("soon", 0, 0),
        ("-3", 0, 0),
        ("nan", 0, 0),
        (None, 0, 0),
        quick=6,
    ),
)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_obeyed(
    monkeypatch: pytest.MonkeyPatch, status: int, retry_after: str | None, least: float, most: float
) -> None:
    chat, _ = over_http(refusal(status, headers={"Retry-After": retry_after} if retry_after else {}))
    found = await waits(monkeypatch, chat, max_seconds=60, max_attempts=3)
    assert len(found) == 2
    assert all(least <= wait <= most for wait in found)


async def test_retry_after_never_shortens_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 1.0)
    chat, _ = over_http(refusal(429, headers={"Retry-After": "3"}))
    assert await waits(monkeypatch, chat, base_seconds=1, max_seconds=60, max_attempts=5) == [3, 3, 4, 8]


async def test_calls_that_fail_in_a_row_give_the_endpoint_up() -> None:
    chat = Scripted(script=[Status(503)])
    caller = caller_of(chat, max_attempts=2, pause_after=3)
    for _ in range(2):
        with pytest.raises(CallFailed, match="no reply in 2 attempts: status 503"):
            await caller.text(SITE, ASK)
    with pytest.raises(EndpointDown, match="m at endpoint: 3 calls in a row failed: status 503"):
        await caller.text(SITE, ASK)
    assert len(chat.asked) == 6
    with pytest.raises(EndpointDown):
        await caller.text(SITE, ASK)
    assert len(chat.asked) == 6  # nobody asks an endpoint that was given up


async def test_a_reply_breaks_the_row() -> None:
    script: list[Script] = [Status(503), Status(503), "Yes.", Status(503), Status(503), "Yes.", Status(503)]
    chat = Scripted(script=script)
    caller = caller_of(chat, max_attempts=1, pause_after=3)
    outcomes: list[str] = []
    for n in range(9):
        results = await asyncio.gather(
            caller.text(dataclasses.replace(SITE, index=str(n)), ASK), return_exceptions=True
        )
        outcomes.append(type(results[0]).__name__)
    failed, down = "CallFailed", "EndpointDown"
    assert outcomes == [failed, failed, "Reply", failed, failed, "Reply", failed, failed, down]


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("known", ["answered", "known"])
async def test_a_refused_request_says_nothing_about_an_endpoint_that_has_answered(status: int, known: str) -> None:
    caller = caller_of(Scripted(script=[Status(status)]), pause_after=1)
    setattr(endpoint_of(caller), known, True)
    with pytest.raises(CallFailed):
        await caller.text(SITE, ASK)
    assert endpoint_of(caller).down is None


async def test_a_first_refusal_is_about_the_input_where_a_trivial_question_is_answered() -> None:
    chat = Scripted(script=[Status(400), "4"])
    caller = caller_of(chat)
    with pytest.raises(CallFailed, match="refused the request") as raised:
        await caller.text(SITE, ASK)
    assert raised.value.refused
    assert len(chat.asked) == 2
    assert "2 + 2" in chat.asked[1][0][0]
    assert endpoint_of(caller).down is None
    assert caller.budget.spent_calls == 1


async def test_a_first_refusal_holds_all_others_back() -> None:
    chat = Picky(script=[], refuses=frozenset({"json_schema", "json_object", "none"}))
    caller = caller_of(chat, Endpoint("m", 4))
    sites = [dataclasses.replace(SITE, index=str(n)) for n in range(30)]
    results = await asyncio.gather(*(caller.parsed(site, ASK, Answer) for site in sites), return_exceptions=True)
    assert {type(result) for result in results} == {EndpointDown}
    assert chat.formats == ["json_schema", "json_object", "none", "none", "none"]  # the last one without a seed


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 2048 tokens",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "the request exceeds the available context size, try increasing it",
        "Input length (9000) exceeds maximum allowed length (8192)",
        "Please reduce the length of the messages",
        "The response was filtered due to the prompt triggering the content management policy",
    ],
)
async def test_a_first_refusal_whose_words_are_about_the_input_is_asked_nothing_more(words: str) -> None:
    chat, asked = over_http(httpx.Response(400, json={"error": {"message": words}}))
    caller = caller_of(chat, Endpoint("m", 4))
    with pytest.raises(CallFailed) as raised:
        await caller.parsed(SITE, ASK, Answer)
    assert raised.value.refused
    assert words in str(raised.value)
    assert len(asked) == 1  # nor is another format tried


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "bad temperature", "param": "temperature"}}, "temperature"),
        ({"error": "no such field"}, "no such field"),
        ({"message": "said at the top"}, "said at the top"),
        ({"detail": "said in detail"}, "said in detail"),
        ({"detail": [{"loc": ["body", "seed"], "msg": "not allowed", "type": "x"}]}, "body.seed: not allowed"),
        ([{"error": {"code": 400, "message": "said in a list"}}], "said in a list"),
        (
            {"error": {"message": "Provider returned error", "metadata": {"raw": '{"detail":"the raw one"}'}}},
            "the raw one",
        ),
        ({"error": {"message": "x" * 900}}, "x" * 200),
    ],
)
def test_a_servers_own_words_are_shown_whatever_shape_its_body_has(body: Any, words: str) -> None:
    response: Any = httpx.Response(400, json=body, request=REQUEST)
    described = describe(openai.BadRequestError("Error code: 400", response=response, body=body))
    assert described.startswith("HTTP 400: ")
    assert words in described
    assert len(described) <= 300


def busy(seconds: float) -> Status:
    error = Status(429)
    error.response = httpx.Response(429, headers={"Retry-After": str(seconds)})  # type: ignore[attr-defined]
    return error


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("drained", "error"), [(False, EndpointDown), (True, Drained)])
async def test_everybody_who_waits_wakes_when_nothing_may_be_sent_any_more(
    drained: bool, error: type[Exception]
) -> None:
    """Three wait for their retry, one held back by them has a slot and one is in the queue for it."""
    chat = Scripted(script=[busy(FOREVER)])
    caller = caller_of(chat, Endpoint("m", 3, structured=False), retry_after_max_seconds=FOREVER)
    sites = [dataclasses.replace(SITE, index=str(n)) for n in range(8)]
    waiting = [asyncio.create_task(caller.text(site, ASK)) for site in sites[:3]]
    await settle()
    waiting += [asyncio.create_task(caller.text(site, ASK)) for site in sites[3:]]
    await settle()
    assert len(chat.asked) == 3
    assert not any(task.done() for task in waiting)
    if drained:
        caller.drain()
    else:
        endpoint_of(caller).give_up("gone")
    async with asyncio.timeout(300):
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [error] * 8
    assert len(chat.asked) == 3
    assert (caller.budget.in_flight, caller.budget.spent_calls) == (0, 0)


async def test_a_wait_without_retry_after_ends_at_a_drain_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 1.0)
    chat = Scripted(script=[Status(503)])
    caller = caller_of(chat, base_seconds=FOREVER, max_seconds=FOREVER)
    task = asyncio.create_task(caller.text(SITE, ASK))
    await settle()
    assert not task.done()
    caller.drain()
    async with asyncio.timeout(300):
        with pytest.raises(Drained):
            await task
    assert len(chat.asked) == 1


async def test_retry_after_holds_back_all_calls_to_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    over = asyncio.Event()

    async def until_over(self: Endpoint, seconds: float) -> None:
        await over.wait()

    monkeypatch.setattr(Endpoint, "pause", until_over)
    chat = Scripted(script=[busy(5), "Yes."])
    caller = caller_of(chat)
    first = asyncio.create_task(caller.text(SITE, ASK))
    await settle()
    other = asyncio.create_task(caller.text(dataclasses.replace(SITE, index="1"), ASK))
    await settle()
    assert len(chat.asked) == 1
    over.set()
    assert [reply.text for reply in await asyncio.gather(first, other)] == ["Yes.", "Yes."]
    assert len(chat.asked) == 3


async def test_those_in_the_queue_of_a_dead_endpoint_ask_no_more() -> None:
    chat = Scripted(script=[Status(401)])
    caller = caller_of(chat, Endpoint("m", 2, structured=False))
    sites = [dataclasses.replace(SITE, index=str(n)) for n in range(20)]
    results = await asyncio.gather(*(caller.text(site, ASK) for site in sites), return_exceptions=True)
    assert {type(result) for result in results} == {EndpointDown}
    assert len(chat.asked) == 2  # those that were under way


class Crowd(Scripted):
    inside: int = 0
    most: int = 0

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.inside += 1
        self.most = max(self.most, self.inside)
        for _ in range(3):
            await asyncio.sleep(0)
        self.inside -= 1
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Yes."))])


@pytest.mark.parametrize("slots", [1, 4])
async def test_no_more_requests_at_once_than_allowed(slots: int) -> None:
    chat = Crowd(script=[])
    caller = caller_of(chat, Endpoint("m", slots, structured=False))
    await asyncio.gather(*(caller.text(dataclasses.replace(SITE, index=str(n)), ASK) for n in range(12)))
    assert chat.most == slots


class Picky(Scripted):
    """Refuses the named types of `response_format`."""

    refuses: frozenset[str] = frozenset()
    refuses_schema: str = ""
    extra_body: dict[str, Any] | None = None

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.asked.append(([], kwargs))
        await asyncio.sleep(0)
        sent = kwargs.get("extra_body", {}).get("response_format", {}).get("json_schema", {}).get("name")
        if self.formats[-1] in self.refuses or (sent and sent == self.refuses_schema):
            raise Status(400)
        return ChatResult(generations=[ChatGeneration(message=AIMessage('{"value": 3}'))])

    @property
    def formats(self) -> list[str]:
        bodies = [keywords.get("extra_body", {}) for _, keywords in self.asked]
        return [body.get("response_format", {}).get("type", "none") for body in bodies]


@pytest.mark.parametrize(
    ("refuses", "tried", "found"),
    [
        (set(), ["json_schema"], "json_schema"),
        ({"json_schema"}, ["json_schema", "json_object"], "json_object"),
        ({"json_schema", "json_object"}, ["json_schema", "json_object", "none"], "none"),
    ],
)
async def test_the_structured_output_is_found_out_once(refuses: set[str], tried: list[str], found: str) -> None:
    chat = Picky(script=[], refuses=frozenset(refuses))
    caller = caller_of(chat, Endpoint("m", 16))
    sites = [dataclasses.replace(SITE, index=str(n)) for n in range(8)]
    answers = await asyncio.gather(*(caller.parsed(site, ASK, Answer) for site in sites))
    assert {answer.value for answer, _ in answers} == {3}
    assert chat.formats == [*tried, *[found] * 7]
    assert endpoint_of(caller).wire_format == found
    assert caller.budget.spent_calls == 8  # what was refused was not paid for


async def test_a_request_that_every_format_has_refused_teaches_nothing() -> None:
    chat = Picky(script=[], refuses=frozenset({"json_schema", "json_object", "none"}))
    caller = caller_of(chat, Endpoint("m", 16))
    endpoint_of(caller).known = True
    with pytest.raises(CallFailed):
        await caller.parsed(SITE, ASK, Answer)
    assert endpoint_of(caller).wire_format is None


class Fussy(Picky):
    """Answers the named formats with a status, with a text, or, with None, never; the limit cuts long blanks off."""

    answers: dict[str, Any] = Field(default_factory=dict)
    ended: int = 0
    ended_before: list[int] = Field(default_factory=list)
    """How many requests had ended when each began."""

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.asked.append(([], kwargs))
        self.ended_before.append(self.ended)
        try:
            await asyncio.sleep(0)
            answer = self.answers.get(self.formats[-1], '{"value": 3}')
            if isinstance(answer, int):
                raise Status(answer)
            if answer is None:
                await asyncio.Event().wait()
            finish = "length" if len(answer) > 1 and answer.isspace() else "stop"
            message = AIMessage(answer, response_metadata={"finish_reason": finish})
            return ChatResult(generations=[ChatGeneration(message=message)])
        finally:
            self.ended += 1


@pytest.mark.parametrize(
    ("answers", "tried", "found"),
    [
        ({"json_schema": 404}, ["json_schema", "json_object"], "json_object"),
        ({"json_schema": 500}, ["json_schema", "json_object"], "json_object"),
        ({"json_schema": 501, "json_object": 404}, ["json_schema", "json_object", "none"], "none"),
        ({"json_schema": 404, "json_object": 400}, ["json_schema", "json_object", "none"], "none"),
        ({"json_schema": ""}, ["json_schema", "json_object"], "json_object"),
        ({"json_schema": " ", "json_object": ""}, ["json_schema", "json_object", "none"], "none"),
        ({"json_schema": 400, "json_object": "\n   " * 50}, ["json_schema", "json_object", "none"], "none"),
    ],
)
async def test_a_format_that_alone_fails_is_not_used(answers: dict[str, Any], tried: list[str], found: str) -> None:
    chat = Fussy(script=[], answers=answers)
    caller = caller_of(chat, Endpoint("m", 16), max_attempts=1)
    for n in range(3):
        await caller.parsed(dataclasses.replace(SITE, index=str(n)), ASK, Answer)
    assert chat.formats == [*tried, found, found]
    assert endpoint_of(caller).down is None


async def test_a_reply_that_the_limit_cut_off_before_anything_was_written_says_nothing_of_its_format() -> None:
    chat = Fussy(script=[], answers={"json_schema": "\n   " * 3})
    caller = caller_of(chat, Endpoint("m", 16), max_attempts=1)
    with pytest.raises(UnusableReply, match="cut off by the length limit"):
        await caller.parsed(SITE, ASK, Answer)
    assert set(chat.formats) == {"json_schema"}


@pytest.mark.parametrize(("status", "error"), [(404, EndpointDown), (500, CallFailed), (503, CallFailed)])
async def test_an_outage_and_a_wrong_model_are_no_refusal_of_a_format(status: int, error: type[Exception]) -> None:
    chat = Fussy(script=[], answers=dict.fromkeys(("json_schema", "json_object", "none"), status))
    caller = caller_of(chat, Endpoint("m", 16), max_attempts=1)
    with pytest.raises(error, match=str(status)):
        await caller.parsed(SITE, ASK, Answer)
    endpoint = endpoint_of(caller)
    assert (endpoint.wire_format, endpoint.schema_formats) == (None, {})
    assert len(chat.asked) == (1 if status == 503 else 3)


@pytest.mark.parametrize("answer", [None, 503, 429])
async def test_a_probe_that_fails_lets_the_others_go_side_by_side(answer: Any) -> None:
    chat = Fussy(script=[], answers={"json_schema": answer})
    limit = 0.05 if answer is None else 300  # where an answer comes, a busy machine may take its time
    caller = caller_of(chat, Endpoint("m", 40), timeout=limit, max_attempts=1, pause_after=100)
    sites = [dataclasses.replace(SITE, index=str(n)) for n in range(35)]
    tasks = [asyncio.create_task(caller.parsed(site, ASK, Answer)) for site in sites]
    async with asyncio.timeout(300):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} == {CallFailed}
    assert chat.ended_before[0] == 0
    assert min(chat.ended_before[1:]) == 1  # the probe had ended, and nothing else, when the next one began
    assert len(chat.asked) == 35
    chat.answers = {}
    patient = caller.roles["solver"].settings.model_copy(update={"timeout": 300.0})
    caller.roles = {"solver": dataclasses.replace(caller.roles["solver"], settings=patient)}
    await caller.parsed(dataclasses.replace(SITE, index="later"), ASK, Answer)
    assert endpoint_of(caller).wire_format == "json_schema"


class Together(Picky):
    """Answers only once two requests are there."""

    barrier: asyncio.Barrier = Field(default_factory=lambda: asyncio.Barrier(2))

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        async with asyncio.timeout(60):
            await self.barrier.wait()
        return await super()._agenerate(messages, *args, **kwargs)


async def test_nobody_waits_for_a_format_at_a_local_server() -> None:
    chat = Together(script=[])
    caller = caller_of(chat, Endpoint("m", 16, local=True))
    sites = [dataclasses.replace(SITE, index=str(n)) for n in range(2)]
    answers = await asyncio.gather(*(caller.parsed(site, ASK, Answer) for site in sites))
    assert [answer.value for answer, _ in answers] == [3, 3]
    assert chat.formats == ["json_schema"] * 2


async def test_a_schema_that_a_local_server_refuses_goes_out_in_another_format() -> None:
    chat = Picky(script=[], refuses=frozenset({"json_schema"}))
    caller = caller_of(chat, Endpoint("m", 16, local=True))
    sites = [dataclasses.replace(SITE, index=str(n)) for n in range(3)]
    answers = await asyncio.gather(*(caller.parsed(site, ASK, Answer) for site in sites))
    await caller.parsed(dataclasses.replace(SITE, index="later"), ASK, Answer)
    assert [answer.value for answer, _ in answers] == [3] * 3
    assert chat.formats == [*["json_schema"] * 3, *["json_object"] * 4]


async def test_slots_can_become_fewer_while_they_are_taken() -> None:
    slots, inside, most = Slots(6), 0, list[int]()

    async def hold() -> None:
        nonlocal inside
        async with slots.slot():
            inside += 1
            most.append(inside)
            for _ in range(3):
                await asyncio.sleep(0)
            inside -= 1

    tasks = [asyncio.create_task(hold()) for _ in range(30)]
    await asyncio.sleep(0)
    slots.narrow(2)
    slots.narrow(5)
    tasks[8].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert max(most) == 6
    assert max(most[12:]) == 2
    async with slots.slot(), slots.slot():  # nothing is taken any more
        pass


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("http://H.test/v1", True),
        ("http://h.test:80/v1/", True),
        ("HTTP://h.test/v1//", True),
        ("https://h.test/v1", False),
        ("http://h.test:8080/v1", False),
        ("http://h.test/v2", False),
        (None, False),
    ],
)
def test_one_address_written_in_several_ways(one: str | None, same: bool) -> None:
    assert (address_of(one) == address_of("http://h.test/v1")) is same


class Harder(Answer):
    pass


async def test_a_schema_that_is_refused_gets_a_format_of_its_own() -> None:
    chat = Picky(script=[], refuses_schema="Harder")
    caller = caller_of(chat, Endpoint("m", 16))
    for n, schema in enumerate((Answer, Harder, Harder, Answer)):
        answer, _ = await caller.parsed(dataclasses.replace(SITE, index=str(n)), ASK, schema)
        assert answer.value == 3
    assert chat.formats == ["json_schema", "json_schema", "json_object", "json_object", "json_schema"]
    assert endpoint_of(caller).wire_format == "json_schema"


async def test_a_schema_once_taken_is_not_doubted_for_one_refused_request() -> None:
    chat = Picky(script=[])
    caller = caller_of(chat, Endpoint("m", 16))
    await caller.parsed(SITE, ASK, Answer)
    chat.refuses_schema = "Answer"
    with pytest.raises(CallFailed):
        await caller.parsed(dataclasses.replace(SITE, index="1"), ASK, Answer)
    assert chat.formats == ["json_schema"] * 2


async def test_the_schema_goes_out_beside_the_endpoints_own_fields() -> None:
    chat = Picky(script=[], extra_body={"max_tokens": 5})
    caller = caller_of(chat, Endpoint("m", 16))
    await caller.parsed(SITE, ASK, Answer)
    await caller.text(SITE, ASK)
    (_, structured), (_, free) = chat.asked
    assert structured["extra_body"]["max_tokens"] == 5
    assert structured["extra_body"]["response_format"]["json_schema"]["name"] == "Answer"
    assert free["extra_body"] == {"max_tokens": 5}


@pytest.mark.parametrize("sends_seed", [True, False])
async def test_a_seed_is_sent_only_where_it_is_taken(sends_seed: bool) -> None:
    chat = Scripted(script=["Yes."])
    await caller_of(chat, sends_seed=sends_seed).text(SITE, ASK)
    assert ("seed" in chat.asked[0][1]) is sends_seed


@pytest.mark.parametrize(
    ("reported", "found"),
    [
        (
            {
                "prompt_tokens_details": {"cached_tokens": 64},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            (64, 5),
        ),
        ({"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36}, (64, None)),
        ({"prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {}}, (0, None)),
        ({"prompt_tokens_details": None}, (None, None)),
        ({}, (None, None)),
    ],
    ids=["OpenAI", "DeepSeek", "no cached", "null", "untold"],
)
async def test_cached_and_reasoning_tokens_are_read_as_endpoints_send_them(reported: Any, found: Any) -> None:
    counted = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    chat, _ = over_http(httpx.Response(200, json=reply(usage=counted | reported)))
    used = (await caller_of(chat).text(SITE, ASK)).usage
    assert (used.tokens_in, used.tokens_out) == (100, 10)
    assert (used.tokens_cached, used.tokens_reasoning) == found


async def test_what_holds_a_slot_is_not_sent_while_its_share_has_lapsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that hung past its lease wakes with slots in its hands: others may have its documents by now."""
    monkeypatch.setattr("autodata.models.endpoint.LAPSED_PAUSE", 0)
    endpoint, left = Endpoint("somewhere", 4), [0]
    endpoint.slots.granted = lambda: left[0]
    waiting = asyncio.create_task(endpoint.still_granted())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    left[0] = 1
    await waiting
    left[0] = 0
    waiting = asyncio.create_task(endpoint.still_granted())
    endpoint.drain()
    with pytest.raises(Drained):
        await waiting
