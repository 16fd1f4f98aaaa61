"""Tokens that are watched live are counted all the same, at servers that count streams and at those that refuse to."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from autodata.models.config import ModelSettings
from autodata.models.factory import connect

pytestmark = pytest.mark.enable_socket


class Streams:
    """A server that streams its answer; with `refuses` it knows no `stream_options`."""

    def __init__(self, *, refuses: bool) -> None:
        self.refuses, self.bodies = refuses, list[dict[str, Any]]()

    async def __aenter__(self) -> Streams:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        if self.refuses and "stream_options" in body:
            wrong = {
                "message": "Unrecognized request argument supplied: stream_options",
                "type": "invalid_request_error",
            }
            return web.json_response({"error": wrong}, status=400)
        assert body.get("stream") is True
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
        for text in ("An ", "answer."):
            await self._write(response, {**head, "choices": [{"index": 0, "delta": {"content": text}}]})
        await self._write(response, {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if body.get("stream_options", {}).get("include_usage"):
            usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
            await self._write(response, {**head, "choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _write(self, response: web.StreamResponse, chunk: dict[str, Any]) -> None:
        await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")


class Said(TypedDict, total=False):
    said: Any


async def watched(model: Any) -> tuple[list[str], Any]:
    """Ask from within a graph whose tokens are watched; return the tokens and the whole message."""

    async def ask(state: Said) -> Said:
        return {"said": await model.send([{"role": "user", "content": "Why?"}], 1, None)}

    graph: Any = StateGraph(Said).add_node("ask", ask).add_edge(START, "ask").add_edge("ask", END).compile()
    tokens, whole = [], None
    async for mode, part in graph.astream({}, stream_mode=["messages", "values"]):
        if mode == "messages":
            tokens.append(part[0].text)
        else:
            whole = part.get("said")
    return [token for token in tokens if token], whole


async def connected(stack: AsyncExitStack, server: Streams, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AUTODATA_TEST_KEY", "key")
    settings = ModelSettings(model="small", base_url=server.url, api_key_env="AUTODATA_TEST_KEY")
    return (await connect({"weak_solver": settings}, stack))["weak_solver"]


async def test_a_watched_reply_keeps_its_token_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncExitStack() as stack, Streams(refuses=False) as server:
        tokens, whole = await watched(await connected(stack, server, monkeypatch))
    assert tokens == ["An ", "answer."]
    assert whole.usage_metadata["input_tokens"] == 11
    assert whole.usage_metadata["output_tokens"] == 3
    assert whole.response_metadata["finish_reason"] == "stop"


async def test_a_server_that_refuses_to_count_streams_is_asked_without(monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncExitStack() as stack, Streams(refuses=True) as server:
        model = await connected(stack, server, monkeypatch)
        for _ in range(2):
            tokens, whole = await watched(model)
            assert tokens == ["An ", "answer."]
            assert whole.usage_metadata is None
    assert ["stream_options" in body for body in server.bodies] == [True, False, False], "it is asked for it once"
