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
from tests.support.commands import invoke, parsed
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


def written(folder: Path, profile: Profile, server: QuirkServer) -> Path:
    """Write a configuration for a served profile, and a document beside it."""
    values = configured(profile)
    default = values["models"]["default"]
    default["base_url"] = server.root if "azure" in default else server.base_url
    (folder / "d").mkdir(exist_ok=True)
    (folder / "d" / "a.md").write_text(DOCUMENT)
    (path := folder / "autodata.toml").write_text(tomli_w.dumps(values))
    return path


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
    with serving(profile) as server:
        path = written(tmp_path, profile, server)
        words = ("run", "--config", path, "--documents", tmp_path / "d", "--out", tmp_path / "run")
        assert profile.said in ran(*words)
        refused, asked = server.refused, len(server.requests)
        (tmp_path / "d" / "b.md").write_text(DOCUMENT.replace("1907", "1911"))
        ran(*words)
        assert len(server.requests) > asked
        known = {request.body["model"] for request in server.requests[:asked]}  # the others are met for the first time
        assert known.isdisjoint(request.body["model"] for request in server.refusals[refused:])


@pytest.mark.parametrize("name", ["openai-o1-mini", *(name for name, one in PROFILES.items() if not one.usable)])
def test_doctor_and_run_come_to_the_same_verdict_over_http(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("QUIRK_KEY", "sk-quirk-0123456789")
    profile = PROFILES[name]
    for command in ("doctor", "run"):
        with serving(profile) as server:
            path = written(tmp_path, profile, server)
            more = ("--documents", tmp_path / "d", "--out", tmp_path / "run") if command == "run" else ()
            result = invoke(command, "--config", path, *more, columns=1000)
            assert result.exit_code == (0 if profile.usable else 1), result.output
            assert profile.said in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1:9/v1", "see that a server answers at http://127.0.0.1:9/v1, or correct base_url"),
        ("http://nowhere.invalid/v1", "check the host in base_url, http://nowhere.invalid/v1, and the network"),
    ],
)
def test_both_commands_say_soon_that_nothing_is_there(tmp_path: Path, address: str, words: str) -> None:
    (tmp_path / "d").mkdir()
    for n in range(3):
        (tmp_path / "d" / f"{n}.md").write_text(DOCUMENT.replace("1907", f"190{n}"))
    path, folder = tmp_path / "autodata.toml", tmp_path / "run"
    values = {"models": {"default": {"model": "big", "base_url": address}}, "retries": {"base_seconds": 0.01}}
    path.write_text(tomli_w.dumps({"max_rounds": 1, **values}))
    result = invoke("doctor", "--config", path, columns=500)
    assert result.exit_code == 1
    assert words in result.output
    for _ in range(2):  # a run that never reached anything does not wait longer when it is resumed
        result = invoke("run", "--config", path, "--documents", tmp_path / "d", "--out", folder, columns=500)
        assert result.exit_code == 1
        said = [line for line in result.output.splitlines() if words in line]
        assert len(said) == 1
        assert "nothing was reached in 3 tries" in said[0]
        assert "errored" not in said[0]
        assert parsed("status", folder, "--json")["pending"] == 3
    with serving(PROFILES["plain"]) as server:
        path.write_text(path.read_text().replace(address, server.base_url))
        result = invoke("run", "--config", path, "--documents", tmp_path / "d", "--out", folder, columns=500)
        assert result.exit_code == 0, result.output
