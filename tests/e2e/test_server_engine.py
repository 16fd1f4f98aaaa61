"""`autodata run --server`: documents as background runs of `langgraph dev`, results in a local run folder."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from autodata.checkpoints.records import Example
from tests.support import studio as support
from tests.support.runs import generated
from tests.support.studio import Models, Studio

pytestmark = pytest.mark.enable_socket

DOCUMENTS = generated(6)
AUTODATA = str(Path(sys.executable).with_name("autodata"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    with support.models(tmp_path_factory.mktemp("models"), latency_s=0.02) as running:
        yield running


@pytest.fixture(scope="module")
def studio(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    default = {"model": "strong", "base_url": models.base_url}
    config = {
        "models": {"default": default, "weak_solver": {"model": "weak"}},
        "retries": {"base_seconds": 0},
        "serve": {"profiles": {"other": {"model": "other-judge"}}},
    }
    with support.studio(tmp_path_factory.mktemp("studio"), config) as running:
        yield running
        assert running.left_the_machine() == []


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    folder = tmp_path / "papers"
    folder.mkdir()
    for document in DOCUMENTS:
        (folder / document.name).write_text(document.text, "utf-8")
    return folder


def start(folder: Path, url: str, *more: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    command = [AUTODATA, "run", "--server", url, "--documents", "papers", "--out", "run", "--json", *more]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env={**os.environ, **(env or {})}, stdout=pipe, stderr=pipe, text=True)


def run(folder: Path, url: str, *more: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    process = start(folder, url, *more, env=env)
    out, err = process.communicate()
    assert "Traceback" not in err
    return process.returncode, out, err


def rows(folder: Path, sql: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(f"file:{folder / 'run' / 'run.db'}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(sql)]


async def test_results_come_back_whole_and_a_repeated_command_asks_nothing(
    studio: Studio, models: Models, papers: Path, tmp_path: Path
) -> None:
    more = ("--max-rounds", "3", "--profile", "verifier=other")
    code, out, err = await asyncio.to_thread(run, tmp_path, studio.url, *more)
    assert code == 0, err
    status = json.loads(out)
    assert status["accepted"] + status["rejected"] == len(DOCUMENTS)
    assert "model calls at" in err
    documents = {row["name"]: row for row in rows(tmp_path, "select * from documents")}
    assert {row["settled"] for row in documents.values()} == {1}
    closed = Counter(row["document_id"] for row in rows(tmp_path, "select * from rounds where outcome != 'open'"))
    assert {row["document_id"]: row["rounds"] for row in documents.values()} == dict(closed)
    assert all(
        row["candidate_id"] is None or row["question"]
        for row in rows(
            tmp_path, "select r.candidate_id, question from rounds r left join candidates using (candidate_id)"
        )
    )
    assert rows(tmp_path, "select 1 from verdicts")
    examples = [Example.model_validate_json(row["example"]) for row in rows(tmp_path, "select example from examples")]
    assert len(examples) == status["accepted"] > 0
    assert {one.models["verifier"] for one in examples} == {"other-judge"}
    asked = len(models.requests())
    code, again, _ = await asyncio.to_thread(run, tmp_path, studio.url, *more)
    assert code == 0
    assert json.loads(again) == status
    assert len(models.requests()) == asked
    exported = subprocess.run([AUTODATA, "export", "run", "--format", "jsonl", "--out", "x.jsonl"], cwd=tmp_path)
    assert exported.returncode == 0
    assert len((tmp_path / "x.jsonl").read_text("utf-8").splitlines()) == len(examples)
    for command in (["show", "run"], ["status", "run"], ["compare", "run", "run"]):
        assert subprocess.run([AUTODATA, *command], cwd=tmp_path, stdout=subprocess.PIPE).returncode == 0
    code, _, err = await asyncio.to_thread(run, tmp_path, studio.url, "--max-rounds", "4")
    assert code == 2
    assert "context.max_rounds: 3 -> 4" in err


async def test_a_killed_client_joins_what_is_under_way(
    studio: Studio, models: Models, papers: Path, tmp_path: Path
) -> None:
    before = len(models.requests())
    for wanted in (10, 40):
        process = start(tmp_path, studio.url, "--concurrency", "3")
        await models.asked(before + wanted)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    code, out, err = await asyncio.to_thread(run, tmp_path, studio.url, "--concurrency", "3")
    assert code == 0, err
    status = json.loads(out)
    assert status["accepted"] + status["rejected"] == len(DOCUMENTS)
    asked = Counter(request["call"] for request in models.requests()[before:])
    assert set(asked.values()) == {1}, "a call was paid for twice"
    async with studio.client() as client:
        threads = await client.threads.search(metadata={"graph_id": "self_instruct_cs"}, limit=100)
        ours = {row["document_id"] for row in rows(tmp_path, "select document_id from documents")}
        folder_id = rows(tmp_path, "select value from meta where key = 'folder_id'")[0]["value"]
        assert folder_id
        mine = rows(tmp_path, "select distinct thread_id from rounds")
        assert len(mine) == len(ours)
        assert {row["thread_id"] for row in mine} <= {thread["thread_id"] for thread in threads}
        for thread in mine:
            assert len(await client.runs.list(thread["thread_id"], limit=10)) == 1, "a document was submitted twice"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--graph", "no_such_graph"], "the server refused"),
        (["--graph", "dataset"], "it takes all documents in one run"),
        (["--profile", "verifier=unknown"], "no such model profile on this server: use one of configured, other"),
        (["--profile", "verifier"], "write ROLE=NAME"),
        (["--max-calls", "5"], "--max-calls: the server pays"),
        (["--server-key-env", "NOT_SET_ANYWHERE"], "export NOT_SET_ANYWHERE=..."),
    ],
)
async def test_mistakes_are_told_in_one_line(
    studio: Studio, models: Models, papers: Path, tmp_path: Path, more: list[str], said: str
) -> None:
    asked = len(models.requests())
    code, _, err = await asyncio.to_thread(run, tmp_path, studio.url, *more)
    assert code == 2, err
    assert said in " ".join(err.split())
    assert len(models.requests()) == asked


async def test_a_server_that_is_not_there_leaves_everything_open(papers: Path, tmp_path: Path) -> None:
    code, out, err = await asyncio.to_thread(run, tmp_path, f"http://127.0.0.1:{support.free_port()}")
    assert code == 1
    assert "cannot be reached" in err
    assert json.loads(out)["pending"] == len(DOCUMENTS)


async def test_only_the_key_that_is_named_is_sent(papers: Path, tmp_path: Path) -> None:
    seen: list[str | None] = []

    async def refuse(request: web.Request) -> web.Response:
        seen.append(request.headers.get("x-api-key"))
        return web.json_response({"detail": "who are you?"}, status=401)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    env = {"LANGSMITH_API_KEY": "not-for-you", "LANGGRAPH_API_KEY": "nor-this", "MINE": "the-key"}
    try:
        code, _, err = await asyncio.to_thread(run, tmp_path, url, env=env)
        assert code == 2
        assert "the server refused" in err
        assert set(seen) == {None}
        seen.clear()
        await asyncio.to_thread(run, tmp_path, url, "--server-key-env", "MINE", env=env)
        assert set(seen) == {"the-key"}
    finally:
        await runner.cleanup()
    stored = b"".join(path.read_bytes() for path in (tmp_path / "run").iterdir())
    assert b"the-key" not in stored


async def test_a_key_is_not_sent_in_the_clear(papers: Path, tmp_path: Path) -> None:
    env = {"MINE": "the-key"}
    code, _, err = await asyncio.to_thread(run, tmp_path, "http://server.example", "--server-key-env", "MINE", env=env)
    assert code == 2
    assert "a key is not sent without encryption" in err
    code, _, err = await asyncio.to_thread(run, tmp_path, "http://user:word@server.example")
    assert code == 2
    assert "credentials do not belong in an address" in err
    assert "word" not in err
