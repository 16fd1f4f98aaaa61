"""The local server for real: the 135M model, fetched once into the user's cache, behind its child process."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.models.local.llama_server import MODULE, LocalServers, ServerSpec, start_server
from autodata.models.local.weights import find_weights

PATIENCE_SECONDS = 120
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 40}, "sure": {"type": "boolean"}},
    "required": ["city", "sure"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def weights() -> Path:
    return asyncio.run(find_weights("smollm2-135m"))


def small(weights: Path, **changes: Any) -> ServerSpec:
    return ServerSpec(**{"path": weights, "alias": "small", "n_parallel": 2, "ctx": 512, "threads": 2, **changes})


async def chat(base_url: str, **extra: Any) -> dict[str, Any]:
    body = {
        "model": "small",
        "messages": [{"role": "user", "content": "Which city is the capital of France?"}],
        "max_tokens": 128,
        "temperature": 0,
        **extra,
    }
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
        reply = await client.post(f"{base_url}/chat/completions", json=body)
        reply.raise_for_status()
    answer: dict[str, Any] = reply.json()
    return answer


def child_command(weights: Path) -> list[str]:
    shape = ["--n-parallel", "2", "--ctx", "512", "--threads", "2"]
    return [sys.executable, "-m", MODULE, "--model", str(weights), "--alias", "small", *shape]


async def test_it_answers_in_words_and_after_a_schema(weights: Path) -> None:
    async with aclosing(await start_server(small(weights))) as server:
        assert server.base_url.startswith("http://127.0.0.1:")
        assert server.base_url.endswith("/v1")
        plain = await chat(server.base_url)
        schema = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True}}
        typed = await chat(server.base_url, response_format=schema)
        assert server.alive
    assert not server.alive
    assert plain["model"] == "small"
    assert plain["choices"][0]["message"]["content"].strip()
    assert plain["usage"]["completion_tokens"] > 0
    assert typed["choices"][0]["finish_reason"] == "stop"
    answer = json.loads(typed["choices"][0]["message"]["content"])
    assert set(answer) == {"city", "sure"}
    assert isinstance(answer["city"], str)
    assert isinstance(answer["sure"], bool)


async def test_each_request_has_the_whole_context_that_was_asked_for(weights: Path) -> None:
    async with (
        aclosing(await start_server(small(weights, n_parallel=3, ctx=768))) as server,
        httpx.AsyncClient() as http,
    ):
        props = (await http.get(f"{server.base_url.removesuffix('/v1')}/props")).json()
    assert props["total_slots"] == 3
    assert props["default_generation_settings"]["n_ctx"] == 768


async def test_first_callers_share_one_server_and_a_dead_one_is_replaced(weights: Path) -> None:
    async with aclosing(LocalServers()) as servers:
        one, same = await asyncio.gather(servers.get(small(weights)), servers.get(small(weights, alias="other")))
        assert one is same
        other = await servers.get(small(weights, ctx=1024))
        assert other.pid != one.pid
        os.kill(one.pid, signal.SIGKILL)
        await one.aclose()
        anew = await servers.get(small(weights))
        assert anew.pid != one.pid
        assert (await chat(anew.base_url))["choices"]
    assert not other.alive
    assert not anew.alive


async def test_the_child_leaves_by_itself_in_the_middle_of_a_reply_when_its_stdin_closes(weights: Path) -> None:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*child_command(weights), stdin=pipe, stdout=pipe)
    assert child.stdin is not None
    assert child.stdout is not None
    base_url = json.loads(await child.stdout.readline())["base_url"]
    body = {"prompt": "Once", "max_tokens": 400, "ignore_eos": True, "stream": True}
    async with (
        httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client,
        client.stream("POST", f"{base_url}/completions", json=body) as reply,
    ):
        lines = reply.aiter_lines()
        assert (await anext(lines)).startswith("data:")
        child.stdin.close()
        with pytest.raises(httpx.TransportError):
            async for _ in lines:
                pass
    assert await child.wait() == 0
    assert await child.stdout.read() == b""


PARENT = """
import asyncio, sys
from pathlib import Path
from autodata.models.local.llama_server import ServerSpec, start_server

async def main():
    server = await start_server(ServerSpec(Path(sys.argv[1]), n_parallel=1, ctx=256))
    print(server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="waits for another process's child with a pidfd")
def test_the_server_of_a_killed_parent_ends(weights: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(weights)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        server = os.pidfd_open(int(parent.stdout.readline()))
        try:
            ended = select.poll()
            ended.register(server, select.POLLIN)
            assert ended.poll(0) == []
            parent.kill()
            assert ended.poll(PATIENCE_SECONDS * 1000) == [(server, select.POLLIN)]
        finally:
            parent.kill()
            os.close(server)


async def test_a_file_that_is_no_model_is_reported_in_one_line(weights: Path, tmp_path: Path) -> None:
    cut_off = tmp_path / "cut-off.gguf"
    with weights.open("rb") as file:
        cut_off.write_bytes(file.read(50_000_000))
    with pytest.raises(RunFailed, match=r"cut-off\.gguf did not start: .*corrupted or incomplete") as failure:
        await start_server(small(cut_off))
    assert "\n" not in str(failure.value)


async def test_a_missing_runtime_is_reported_with_what_to_type(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(UserError, match=r"pip install 'autodata-langgraph\[local\]'"):
        await start_server(small(weights))
