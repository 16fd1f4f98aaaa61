"""A slice of the quirk table over real HTTP; `tests/graph/test_quirks.py` has all of it, in one process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tomli_w

from tests.graph.test_quirks import DOCUMENT, configured
from tests.support.commands import invoke
from tests.support.quirks import PROFILES, Profile, QuirkServer

SLICE = ("openai-o1-mini", "azure", "dashscope-stream-only", "mistral", "vllm-reasoning-parser", "gemini-busy")


@contextmanager
def serving(profile: Profile) -> Iterator[QuirkServer]:
    """Serve a profile from a thread of its own: a command needs the main one for its signals."""
    server, up, over = QuirkServer(profile), threading.Event(), threading.Event()

    async def serve() -> None:
        async with server:
            up.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert up.wait(60)
        yield server
    finally:
        over.set()
        thread.join()


def ran(*words: str | Path) -> str:
    result = invoke(*words)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", SLICE)
def test_a_run_gets_on_with_it_and_a_resumed_one_tries_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("QUIRK_KEY", "sk-quirk-0123456789")
    profile = PROFILES[name]
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.md").write_text(DOCUMENT)
    with serving(profile) as server:
        values = configured(profile)
        default = values["models"]["default"]
        default["base_url"] = server.root if "azure" in default else server.base_url
        path = tmp_path / "autodata.toml"
        path.write_text(tomli_w.dumps(values))
        words = ("run", "--config", path, "--documents", tmp_path / "d", "--out", tmp_path / "run")
        assert profile.said in ran(*words)
        refused, asked = server.refused, len(server.requests)
        (tmp_path / "d" / "b.md").write_text(DOCUMENT.replace("1907", "1911"))
        ran(*words)
        assert len(server.requests) > asked
        known = {request.body["model"] for request in server.requests[:asked]}  # the others are met for the first time
        assert known.isdisjoint(request.body["model"] for request in server.refusals[refused:])
