"""`autodata doctor` against real HTTP servers of several tempers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner, Result

from autodata.cli.app import app
from tests.support.server import ChatServer, Switches

KEY = "sk-a-key-of-somebody"


@asynccontextmanager
async def small_server(refuses: str = "") -> AsyncIterator[str]:
    """A server that can add, wants the key, and perhaps refuses one field of a request."""

    async def chat(request: web.Request) -> web.Response:
        body = await request.json()
        given = request.headers.get("Authorization", "")
        if given != f"Bearer {KEY}":
            return web.json_response({"error": {"message": f"no such key: {given}"}}, status=401)
        if refuses in body:
            return web.json_response({"error": {"message": f"{refuses} is not supported"}}, status=400)
        structured = "JSON Schema" in body["messages"][0]["content"]
        message = {"role": "assistant", "content": '{"total": 42, "even": true}' if structured else "ready"}
        usage = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        reply = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"]}
        return web.json_response({**reply, "choices": [choice], "usage": usage})

    application = web.Application()
    application.router.add_post("/v1/chat/completions", chat)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def doctor(folder: Path, base_url: str, *flags: str) -> Result:
    path = folder / "autodata.toml"
    path.write_text(f'[models.default]\nmodel = "m"\nbase_url = "{base_url}"\napi_key_env = "SOME_KEY"\n')
    runner = CliRunner(env={"COLUMNS": "100"})
    return await asyncio.to_thread(lambda: runner.invoke(app, ["doctor", "--config", str(path), *flags]))


def only(result: Result) -> dict[str, Any]:
    (found,) = json.loads(result.stdout)["endpoints"]
    return dict(found)


async def test_a_good_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    async with small_server(refuses="response_format") as base_url:
        result = await doctor(tmp_path, base_url, "--json")
    found = only(result)
    assert (result.exit_code, found["faults"]) == (0, [])
    assert (found["key"], found["seed"], found["usage"]) == ("SOME_KEY set", "accepted", "9 in, 1 out")
    assert found["structured"] == "prompt only"
    assert KEY not in result.output


async def test_a_server_that_refuses_the_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    async with small_server(refuses="seed") as base_url:
        found = only(await doctor(tmp_path, base_url, "--json"))
    assert {fault["advice"] for fault in found["faults"]} == {"set send_seed = false"}
    assert found["structured"] == "json_schema"


async def test_a_wrong_key_is_not_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-a-wrong-one")
    async with small_server() as base_url:
        result = await doctor(tmp_path, base_url)
    assert result.exit_code == 1
    assert "check the key in SOME_KEY" in " ".join(result.stdout.split())
    assert "sk-a-wrong-one" not in result.output


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        ("404", "check model 'm' and base_url"),
        ("429", "wait, or lower max_concurrency"),
        ("503", "the server fails"),
        ("close", "see that a server answers at"),
        ("html", "see that a server answers at"),
        ("null", "see that a server answers at"),
    ],
)
async def test_a_server_that_is_unwell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, advice: str
) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    async with ChatServer(Switches(always=fault)) as server:
        result = await doctor(tmp_path, server.base_url, "--json")
        assert len(server.requests) == 1
    assert result.exit_code == 1
    assert advice in only(result)["faults"][0]["advice"]


async def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    async with small_server() as base_url:
        pass
    result = await doctor(tmp_path, base_url, "--json")
    assert result.exit_code == 1
    assert f"see that a server answers at {base_url}" in only(result)["faults"][0]["advice"]
