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
from autodata.models.config import RetryConfig
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
    default = f'[models.default]\nmodel = "m"\nbase_url = "{base_url}"\napi_key_env = "SOME_KEY"\n'
    path.write_text(f"{default}[retries]\nbase_seconds = 0\n")
    runner = CliRunner(env={"COLUMNS": "100"})
    flags = ("--no-rehearse", *flags)  # these servers can add, and know no prompt of a role
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
    assert (found["faults"], found["seed"], found["structured"]) == ([], "refused, left out", "json_schema")


async def test_a_wrong_key_is_not_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-a-wrong-one")
    async with small_server() as base_url:
        result = await doctor(tmp_path, base_url)
    assert result.exit_code == 1
    assert "check the key in SOME_KEY" in " ".join(result.stdout.split())
    assert "sk-a-wrong-one" not in result.output


@pytest.mark.parametrize(
    ("fault", "advice", "requests"),
    [
        ("404", "check model 'm' and base_url", 1),
        ("429", "wait, or lower max_concurrency", 6),
        ("503", "the server fails", 6),
        ("close", "see that a server answers at", 6),
        ("html", "see that a server answers at", 6),
        ("null", "see that a server answers at", 6),
    ],
)
async def test_a_server_that_is_unwell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, advice: str, requests: int
) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    async with ChatServer(Switches(always=fault)) as server:
        result = await doctor(tmp_path, server.base_url, "--json")
        assert len(server.requests) == requests  # as often as a run asks
    assert result.exit_code == 1
    assert advice in only(result)["faults"][0]["advice"]


async def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    async with small_server() as base_url:
        pass
    result = await doctor(tmp_path, base_url, "--json")
    assert result.exit_code == 1
    assert f"see that a server answers at {base_url}" in only(result)["faults"][0]["advice"]


async def rehearsed(folder: Path, server: ChatServer) -> Result:
    path = folder / "autodata.toml"
    path.write_text(
        f'[models.default]\nmodel = "strong"\nbase_url = "{server.base_url}"\n[retries]\nbase_seconds = 0\n'
    )
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["doctor", "--config", str(path), "--json"]))


@pytest.mark.parametrize("sloppy", [False, True])
async def test_each_role_does_its_real_work_once(tmp_path: Path, sloppy: bool) -> None:
    async with ChatServer(Switches(sloppy=sloppy)) as server:
        result = await rehearsed(tmp_path, server)
    found = json.loads(result.stdout)["rehearsal"]
    assert (result.exit_code, found["calls"]) == (0, 5)
    assert [part["calls"] for part in found["parts"]] == [1] * 5
    assert {part["problem"] for part in found["parts"]} == {""}


@pytest.mark.parametrize(
    ("schema", "role", "untried"),
    [
        ("RubricMarks", "verifier", set()),
        ("RubricReview", "quality_verifier", set()),
        ("RubricCandidate", "challenger", {"quality_verifier", "weak_solver", "strong_solver", "verifier"}),
    ],
)
async def test_a_role_that_a_run_would_fail_with_is_not_called_well(
    tmp_path: Path, schema: str, role: str, untried: set[str]
) -> None:
    """The endpoint adds two numbers well; what the role is really asked for it cannot do."""
    async with ChatServer(Switches(unreadable=(schema,))) as server:
        result = await rehearsed(tmp_path, server)
    found = json.loads(result.stdout)
    assert (result.exit_code, found["usable"]) == (1, False)
    assert all(endpoint["usable"] for endpoint in found["endpoints"])
    parts = {part["role"]: part for part in found["rehearsal"]["parts"]}
    assert "no usable reply: The reply held no JSON object." in parts[role]["problem"]
    assert parts[role]["calls"] == RetryConfig().unusable_tries
    assert {name for name, part in parts.items() if part["problem"]} == {role}
    assert {name for name, part in parts.items() if not part["tried"]} == untried
