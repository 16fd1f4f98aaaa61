"""Documents that error in a row for the same cause stop whatever works on them, and the cause is said once."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import tomli_w

from autodata.checkpoints.ledger import Ledger
from autodata.cli.run import closing_lines
from autodata.corpus.summary import summarise
from autodata.jobs.session import Session
from autodata.runner.ingest import add_documents
from autodata.runner.remote import RemoteRun, RemoteRunner, _ServerError, open_remote
from autodata.serving.errors import Stopped
from autodata.serving.runtime import CONFIG_VARIABLE, FOLDER_VARIABLE, server_runtime, shut
from tests.e2e.test_said_once import served, written
from tests.graph.test_served_threads import Client, paste
from tests.support.commands import invoke
from tests.support.runs import generated, settings
from tests.support.server import ChatServer, Switches

pytestmark = pytest.mark.enable_socket

UNREADABLE = Switches(unreadable=("RubricReview",))
SAID = "The reply held no JSON object"


def retries(most: int) -> dict[str, Any]:
    return {"base_seconds": 0, "unusable_tries": 2, "pause_after_documents": most}


@pytest.fixture
async def endpoint() -> AsyncIterator[ChatServer]:
    async with ChatServer() as server:
        yield server


@asynccontextmanager
async def served_at(folder: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any]) -> AsyncIterator[None]:
    """A server's folder and configuration; what is open of it is closed at the end."""
    monkeypatch.setenv(CONFIG_VARIABLE, str(folder / "server.toml"))
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder / "server"))
    (folder / "server.toml").write_text(tomli_w.dumps(values), "utf-8")
    try:
        yield
    finally:
        await shut()


async def test_a_request_of_several_documents_stops_and_goes_on_later(
    endpoint: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.switches = UNREADABLE
    values = settings(endpoint.base_url, max_rounds=1, retries=retries(2))
    async with served_at(tmp_path, monkeypatch, values):
        client = Client(tmp_path, "dataset")
        given = {"texts": [paste(n) for n in range(4)], "domain": "cs"}
        with pytest.raises(Stopped, match=f"2 documents in a row errored for the same cause: .*{SAID}"):
            await client.run(given)
        endpoint.switches = Switches()
        values = await client.run(given)
        assert sum(values["counts"].values()) == 4
        assert "errored" not in values["counts"]


async def test_a_failure_that_was_called_off_before_its_record_is_asked_anew_at_once(
    endpoint: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.switches = UNREADABLE
    async with served_at(tmp_path, monkeypatch, settings(endpoint.base_url, max_rounds=1, retries=retries(9))):
        client = Client(tmp_path, "dataset")
        given = {"texts": [paste(0)], "domain": "cs"}
        assert (await client.run(given))["counts"] == {"errored": 1}
        ledger = (await server_runtime()).ledger
        rows = await ledger.read("select evaluation, document_id, status from trials")
        assert [row["status"] for row in rows] == ["errored"]
        await ledger.save(trials=[{**row, "status": "pending"} for row in rows])
        endpoint.switches = Switches()
        assert "errored" not in (await client.run(given))["counts"]


async def test_a_request_whose_documents_end_otherwise_does_not_stop(
    endpoint: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.switches = UNREADABLE
    values = settings(endpoint.base_url, max_rounds=1, retries=retries(3))
    async with served_at(tmp_path, monkeypatch, values):
        client = Client(tmp_path, "dataset")
        for _ in range(2):  # each request has a row of its own
            values = await client.run({"texts": [paste(0), paste(1)], "domain": "cs"})
            assert values["counts"] == {"errored": 2}


def test_a_search_whose_evaluations_are_shorter_than_a_row_stops_too(tmp_path: Path) -> None:
    with served(UNREADABLE) as base_url:
        more: dict[str, Any] = {"optimize": {"minibatch": 2, "max_rounds": 1}, "retries": retries(5), "concurrency": 1}
        config = written(tmp_path, settings(base_url, **more), train=slice(0, 4), validate=slice(4, 7))
        splits = ("--train", tmp_path / "train", "--validate", tmp_path / "validate")
        result = invoke("optimize", *splits, "--config", config, "--out", tmp_path / "opt")
    said = " ".join(result.stderr.split())
    assert (result.exit_code, said.count(SAID)) == (1, 1), said
    assert "stopped: every document of evaluation train-" in said


class FailingRemote(RemoteRunner):
    """A server that answers, and can do nothing with any document but the lucky ones."""

    lucky: frozenset[str] = frozenset()
    asked = 0

    async def _result(self, row: Any) -> Any:
        self.asked += 1
        if row["name"] in self.lucky:
            return {"status": "rejected", "status_reason": "max_rounds", "history": [], "usage": []}
        return _ServerError("Errored", f"unusable_reply: {SAID}: {row['name']!r}")


@pytest.mark.parametrize(("lucky", "asked"), [((), 3), ((2,), 6)])
async def test_a_run_at_a_server_stops_too(tmp_path: Path, lucky: tuple[int, ...], asked: int) -> None:
    documents = generated(8)
    run = RemoteRun("self_instruct_cs", {}, concurrency=1, pause_after_documents=3)
    async with Ledger.open(tmp_path / "run.db") as ledger:
        await add_documents(ledger, documents)
        client: Any = None  # it is never asked
        runner = FailingRemote(run, ledger, client, uuid4(), "http://127.0.0.1:1")
        runner.lucky = frozenset(documents[n].name for n in lucky)
        outcome = await runner.run()
        lines = closing_lines(Session(outcome, await summarise(ledger), []), tmp_path)
    assert (runner.asked, outcome.failed, len(outcome.one_cause)) == (asked, True, 3)
    assert lines[0].startswith("stopped: 3 documents in a row errored for the same cause, named above: ")
    assert sum(SAID in line for line in lines) == (1 if lucky else 0)  # of those before the row


async def test_a_server_that_nothing_listens_for_is_named_as_such(tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    async with open_remote(RemoteRun("self_instruct_cs", {}), tmp_path, url, None) as runner:
        await add_documents(runner.ledger, generated(1))
        outcome = await runner.run()
    assert outcome.stopped.startswith(f"{url} cannot be reached: the connection was refused: nothing listens")


async def test_a_server_warns_of_attempts_that_are_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    values = settings("http://127.0.0.1:9/v1", {"default": {"temperature": 0.0}})
    caplog.set_level(logging.WARNING)
    async with served_at(tmp_path, monkeypatch, values):
        await server_runtime()
        assert "temperature is 0, so the 3 attempts of weak_solver" in caplog.text
        begun = await Client(tmp_path).graph.ainvoke(
            paste(), {"configurable": {"thread_id": "t"}}, interrupt_after=["intake"]
        )
        assert begun["note"].startswith("temperature is 0")
