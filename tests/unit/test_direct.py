"""The model that sends by itself: the same requests go out, and the same comes of every answer, as of LangChain's."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import httpx
import httpx2
import pytest
from langchain_core.callbacks import BaseCallbackHandler

from autodata.checkpoints.errors import UserError
from autodata.domains.domain import CS
from autodata.models import factory, openai_chat
from autodata.models.chat import Chat, RunClient
from autodata.models.config import ModelSettings
from autodata.models.direct import Direct
from autodata.models.faults import classify
from autodata.models.reply import to_reply
from tests.graph.test_quirks import configured
from tests.support.quirks import PROFILES, Quirky, in_process
from tests.support.stages import first_quick

SCHEMA = CS.scorer.draft
MESSAGES = [{"role": "system", "content": "Write a question."}, {"role": "user", "content": "The mast’s lamps: ½."}]
CHOICE: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": "Two."}, "finish_reason": "stop"}
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
WHOLE: dict[str, Any] = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "big",
    "choices": [CHOICE],
    "usage": USAGE,
}


def of(message: Any) -> dict[str, Any]:
    """Return what callers can see of a message, but for figures that were not given."""
    whole: dict[str, Any] = message.model_dump(exclude={"id"})
    whole["response_metadata"] = given(whole["response_metadata"])
    return whole


def given(value: Any) -> Any:
    return {k: given(v) for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def meant(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return headers but for those by which OpenAI's library says what it is and what it runs on, and ours its name."""
    return sorted((k, v) for k, v in headers if k.lower() != "user-agent" and not k.lower().startswith("x-stainless"))


async def asked(settings: dict[str, Any], client: str, replies: int = 2) -> list[Any]:
    """Return what a role's model answers to a few requests: messages with their replies, or what an error means."""
    found: list[Any] = []
    async with AsyncExitStack() as stack:
        roles = {"challenger": ModelSettings.model_validate({**settings, "client": client})}
        model = (await factory.connect(roles, stack))["challenger"]
        assert isinstance(model.chat, Chat | Direct) == (client == "direct")
        for number in range(replies):
            for schema in (None, SCHEMA):
                try:
                    message = await model.send(MESSAGES, number, schema, {"role": "challenger"})
                except Exception as error:  # noqa: BLE001 - compared, whatever it is
                    found.append(classify(error) or (type(error), str(error)))
                else:
                    reply = to_reply(message, model, schema)
                    found.append((of(message), reply, reply.tokens_cached, reply.tokens_reasoning, reply.beside))
        found.append(model.endpoint.found.reported)
    return found


@pytest.mark.parametrize("name", first_quick(*PROFILES, quick=3))
async def test_every_quirk_is_met_alike(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUIRK_KEY", "sk-quirk-0123456789")
    profile, outcomes, requests = PROFILES[name], [], []
    settings = configured(profile)["models"]["default"]
    for client in ("langchain", "direct"):
        server = Quirky(profile)
        monkeypatch.setattr(openai_chat, "new_client", lambda server=server: in_process(server))
        outcomes.append(await asked(settings, client))
        requests.append(server.requests)
    assert outcomes[0] == outcomes[1]
    stock, ours = [[replace(one, headers=dict(meant(one.headers.items()))) for one in sent] for sent in requests]
    assert ours == stock


ANSWERS: dict[str, Any] = {
    "plain": WHOLE,
    "reasoning beside": {**WHOLE, "choices": [{**CHOICE, "message": {**CHOICE["message"], "reasoning_content": "Hm"}}]},
    "all in reasoning": {
        **WHOLE,
        "choices": [{**CHOICE, "message": {"role": "assistant", "content": None, "reasoning": "Hm"}}],
    },
    "details of usage": {
        **WHOLE,
        "usage": {
            **USAGE,
            "prompt_tokens_details": {"cached_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    },
    "usage of a cache, by another name": {**WHOLE, "usage": {**USAGE, "prompt_cache_hit_tokens": 3}},
    "no usage": {name: value for name, value in WHOLE.items() if name != "usage"},
    "half of a usage": {**WHOLE, "usage": {"prompt_tokens": 7}},
    "cut off": {**WHOLE, "choices": [{**CHOICE, "finish_reason": "length"}]},
    "no finish reason": {**WHOLE, "choices": [{"index": 0, "message": CHOICE["message"]}]},
    "refusal": {**WHOLE, "choices": [{**CHOICE, "message": {"role": "assistant", "content": None, "refusal": "No."}}]},
    "tool call": {
        **WHOLE,
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "t", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
                    ],
                },
            }
        ],
    },
    "error of a choice": {**WHOLE, "choices": [{**CHOICE, "error": {"message": "upstream failed"}}]},
    "error with status 200": {"error": {"message": "overloaded", "code": 503}},
    "parts": {
        **WHOLE,
        "choices": [{**CHOICE, "message": {"role": "assistant", "content": [{"type": "text", "text": "Two."}]}}],
    },
    "no role": {**WHOLE, "choices": [{**CHOICE, "message": {"content": "Two."}}]},
    "no choices": {**WHOLE, "choices": []},
    "choices of nothing": {**WHOLE, "choices": None},
    "a list": [WHOLE],
    "no JSON": "<html>It works!</html>",
    "nothing": "",
}


def answering(answer: Any) -> Any:
    """Return an HTTP client of OpenAI's own library that gets this answer, or meets this error."""

    def of_request(request: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx2.Response):
            return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return httpx2.Response(200, text=answer) if isinstance(answer, str) else httpx2.Response(200, json=answer)

    return httpx2.AsyncClient(transport=httpx2.MockTransport(of_request))


async def compared(answer: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setattr(openai_chat, "new_client", lambda: answering(answer))
    settings = {"model": "big", "base_url": "https://quirky.test/v1"}
    stock, ours = [await asked(settings, client, 1) for client in ("langchain", "direct")]
    assert stock == ours
    return ours


@pytest.mark.parametrize("name", first_quick(*ANSWERS, quick=4))
async def test_every_answer_is_read_alike(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await compared(ANSWERS[name], monkeypatch)


@pytest.mark.parametrize("status", first_quick(429, 400, 302, 401, 403, 404, 409, 413, 422, 500, 503, 529, quick=2))
async def test_every_status_means_the_same(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"retry-after": "7", "x-request-id": "r"}
    body = {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}
    fault = (await compared(httpx2.Response(status, json=body, headers=headers), monkeypatch))[0]
    assert fault.status in {status, None}
    assert fault.retry_after == (7 if status in {409, 429, 500, 503, 529} else None)


@pytest.mark.parametrize(
    "error",
    [
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("slow"),
        httpx2.RemoteProtocolError("gone"),
        OSError("no"),
        KeyError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_every_failure_to_send_means_the_same(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    await compared(error, monkeypatch)


async def test_headers_query_and_body_are_those_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY", "g-1")
    monkeypatch.setenv("OPENAI_ORG_ID", "private")
    seen: dict[str, list[tuple[str, list[tuple[str, str]], Any]]] = {"langchain": [], "direct": []}
    settings = {
        "model": "big",
        "base_url": "https://quirky.test/v1",
        "headers": {"x-gateway": "Bearer $GATEWAY"},
        "query": {"api-version": "7"},
        "extra_body": {"top_k": 20, "text": "½"},
        "temperature": 0.5,
    }
    for client, noted in seen.items():

        def of_request(request: httpx2.Request, noted: Any = noted) -> httpx2.Response:
            noted.append((str(request.url), sorted(request.headers.multi_items()), json.loads(request.content)))
            return httpx2.Response(200, json=WHOLE)

        monkeypatch.setattr(
            openai_chat, "new_client", lambda: httpx2.AsyncClient(transport=httpx2.MockTransport(of_request))
        )
        await asked(settings, client)
    stock, ours = seen["langchain"], seen["direct"]
    assert [(url, meant(headers), body) for url, headers, body in ours] == [
        (url, meant(headers), body) for url, headers, body in stock
    ]
    for _, headers, _ in ours:
        assert [v.partition("/")[0] for k, v in headers if k == "user-agent"] == ["autodata"]
        assert not [k for k, _ in headers if k.startswith("x-stainless")]
    assert "private" not in json.dumps(ours)
    assert ("x-gateway", "Bearer g-1") in ours[0][1]


async def test_a_client_of_httpx_serves_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200, json=WHOLE)))
    monkeypatch.setattr(openai_chat, "new_client", lambda: client)
    message, *_ = (await asked({"model": "big", "base_url": "https://quirky.test/v1"}, "direct", 1))[0]
    assert message["content"] == "Two."


def test_another_client_is_refused_by_name() -> None:
    with pytest.raises((UserError, ValueError), match="client"):
        ModelSettings.model_validate({"model": "m", "client": "curl"})


# What watches, binds or streams finds LangChain's model

PLAIN_SETTINGS = {"model": "big", "base_url": "https://quirky.test/v1", "temperature": 0.5, "extra_body": {"top_k": 3}}


class Seen(BaseCallbackHandler):
    """Keeps what LangChain's callbacks are given of a call."""

    def __init__(self) -> None:
        self.found: list[Any] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **more: Any) -> None:
        kept = {name: more[name] for name in ("tags", "metadata", "invocation_params", "name")}
        del kept["metadata"]["lc_versions"]  # of the packages at work, which differ
        self.found.append((serialized["id"][:-1], messages, kept))

    def on_llm_end(self, response: Any, **more: Any) -> None:
        output = {**response.llm_output, "token_usage": given(response.llm_output["token_usage"])}
        self.found.append(([of(one.message) for [one] in response.generations], output))


async def models_of(stack: AsyncExitStack) -> list[Any]:
    found = []
    for client in ("langchain", "direct"):
        roles = {"challenger": ModelSettings.model_validate({**PLAIN_SETTINGS, "client": client})}
        found.append((await factory.connect(roles, stack))["challenger"].chat)
    return found


async def test_callbacks_and_traces_are_given_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_chat, "new_client", lambda: answering(WHOLE))
    seen = []
    async with AsyncExitStack() as stack:
        for chat in await models_of(stack):
            watch = Seen()
            await chat.ainvoke(MESSAGES, {"callbacks": [watch], "run_name": "challenger", "tags": ["t"]}, seed=7)
            seen.append((watch.found, chat._llm_type, chat._identifying_params, chat._get_ls_params(stop=["x"])))
    stock, ours = seen
    assert len(ours[0]) == 2
    assert ours == stock


async def test_tools_and_streams_are_the_librarys(monkeypatch: pytest.MonkeyPatch) -> None:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "big"}
    lines = [{**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]} for text in "ab"]
    text = "".join(f"data: {json.dumps(line)}\n\n" for line in lines) + "data: [DONE]\n\n"
    bodies: list[Any] = []

    def of_request(request: httpx2.Request) -> httpx2.Response:
        bodies.append(json.loads(request.content))
        if bodies[-1].get("stream"):
            return httpx2.Response(200, text=text, headers={"content-type": "text/event-stream"})
        return httpx2.Response(200, json=ANSWERS["tool call"])

    transport = httpx2.MockTransport(of_request)
    monkeypatch.setattr(openai_chat, "new_client", lambda: httpx2.AsyncClient(transport=transport))
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    found = []
    async with AsyncExitStack() as stack:
        for chat in await models_of(stack):
            called = await chat.bind_tools([tool]).ainvoke(MESSAGES)
            found.append((called.tool_calls, [part.content async for part in chat.astream(MESSAGES)]))
    assert found[0] == found[1]
    assert found[1][0][0]["name"] == "look"
    assert "".join(found[1][1]) == "ab"
    assert bodies[:2] == bodies[2:]


async def test_a_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with openai_chat.new_client() as client:
        assert isinstance(client, RunClient)
        assert client.session() is not None
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with openai_chat.new_client() as client:
        assert isinstance(client, RunClient)
        assert client.session() is None


def test_accounts_go_to_openai_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "o-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "p-1")
    assert "OpenAI-Organization" not in openai_chat._headers("https://quirky.test/v1", "k", {})
    found = openai_chat._headers(openai_chat.OPENAI, "k", {"authorization": "Basic x"})
    assert (found["OpenAI-Organization"], found["OpenAI-Project"]) == ("o-1", "p-1")
    assert [value for name, value in found.items() if name.lower() == "authorization"] == ["Basic x"]
