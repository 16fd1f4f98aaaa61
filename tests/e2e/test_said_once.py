"""What `autodata run` and `autodata optimize` say on the terminal over a real server: each thing, and once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import tomli_w

from tests.support.commands import invoke
from tests.support.runs import generated, settings
from tests.support.server import ChatServer, Switches

pytestmark = pytest.mark.enable_socket


@contextmanager
def served(switches: Switches | None = None) -> Iterator[str]:
    """A server in a thread: commands see to signals, so they have the main one."""
    ready, over, addresses = Event(), Event(), list[str]()

    async def serve() -> None:
        async with ChatServer(switches) as server:
            addresses.append(server.base_url)
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(300)
        yield addresses[0]
    finally:
        over.set()
        thread.join()


def written(folder: Path, values: dict[str, Any], **parts: slice) -> Path:
    documents = generated(8)
    for name, part in parts.items():
        (folder / name).mkdir()
        for document in documents[part]:
            (folder / name / document.name).write_text(document.text, "utf-8")
    config = folder / "autodata.toml"
    config.write_text(tomli_w.dumps(values), "utf-8")
    return config


@pytest.mark.parametrize("concurrency", [1, 3])
def test_the_cause_of_a_pause_is_printed_once(tmp_path: Path, concurrency: int) -> None:
    retries = {"base_seconds": 0, "unusable_tries": 2, "pause_after_documents": 4}
    with served(Switches(unreadable=("RubricReview",))) as base_url:
        values = settings(base_url, max_rounds=1, concurrency=concurrency, retries=retries)
        config = written(tmp_path, values, texts=slice(0, 8))
        command = ("run", "--documents", tmp_path / "texts", "--config", config, "--out", tmp_path / "run")
        result = invoke(*command)
    assert (result.exit_code, str(result.exception)) == (1, "1")
    said = " ".join(result.stderr.split())
    assert said.count("The reply held no JSON object") == 1
    assert said.count("errored: 0") == said.count("the same cause") > 3  # the lines after the first, and the last one
    assert "stopped: 4 documents in a row errored for the same cause, named above: 0" in said


def test_documents_that_fail_alike_without_a_pause_are_reported_once(tmp_path: Path) -> None:
    retries = {"base_seconds": 0, "unusable_tries": 2, "pause_after_documents": 9}
    with served(Switches(unreadable=("RubricReview",))) as base_url:
        config = written(tmp_path, settings(base_url, max_rounds=1, retries=retries), texts=slice(0, 8))
        command = ("run", "--documents", tmp_path / "texts", "--config", config, "--out", tmp_path / "run")
        result = invoke(*command)
    said = " ".join(result.stderr.split())
    assert "errored: 8 documents: unusable_reply: " in said
    assert said.count("The reply held no JSON object") == 2  # when it happened, and at the end


def test_a_search_says_what_a_run_says(tmp_path: Path) -> None:
    cold = {"default": {"temperature": 0.0}}
    with served() as base_url:
        values = settings(base_url, cold, optimize={"minibatch": 2, "max_rounds": 1})
        config = written(tmp_path, values, train=slice(0, 3), validate=slice(3, 7))
        (tmp_path / "train" / "table.xyz").write_text("no document", "utf-8")
        splits = ("--train", tmp_path / "train", "--validate", tmp_path / "validate")
        command = ("optimize", *splits, "--config", config, "--out", tmp_path / "opt", "--max-calls", "1")
        result = invoke(*command)
    said = " ".join(result.stderr.split())
    assert "warning: temperature is 0, so the 3 attempts of weak_solver and the 3 attempts of strong_solver" in said
    assert "--train: left out of the folders: 1 entry" in said
    assert "--validate: left out" not in said
