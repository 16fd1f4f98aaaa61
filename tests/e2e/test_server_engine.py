"""`autodata run --server`: documents as background runs of `langgraph dev`, results in a local run folder."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from autodata.checkpoints.records import Example
from tests.support import studio as support
from tests.support.commands import invoke, printed, refusal, words
from tests.support.runs import generated
from tests.support.studio import Models, Studio

pytestmark = pytest.mark.enable_socket

DOCUMENTS = generated(4)
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


@pytest.fixture(autouse=True)
def _in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def command(url: str, *more: str) -> list[str]:
    return ["run", "--server", url, "--documents", "papers", "--out", "run", "--json", *more]


def ran(url: str, *more: str) -> tuple[dict[str, Any], str]:
    """Run the command in this process; return its status and what it wrote to standard error."""
    result = invoke(*command(url, *more))
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout), words(result.stderr)


def rows(folder: Path, sql: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(f"file:{folder / 'run' / 'run.db'}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(sql)]


def test_results_come_back_whole_and_a_repeated_command_asks_nothing(
    studio: Studio, models: Models, papers: Path, tmp_path: Path
) -> None:
    more = ("--max-rounds", "9", "--profile", "verifier=other")
    status, errors = ran(studio.url, *more)
    assert status["accepted"] + status["rejected"] == len(DOCUMENTS)
    assert "model calls at" in errors
    documents = {row["name"]: row for row in rows(tmp_path, "select * from documents")}
    assert {row["settled"] for row in documents.values()} == {1}
    closed = Counter(row["document_id"] for row in rows(tmp_path, "select * from rounds where outcome != 'open'"))
    assert {row["document_id"]: row["rounds"] for row in documents.values()} == dict(closed)
    joined = "select r.candidate_id, question from rounds r left join candidates using (candidate_id)"
    assert all(row["candidate_id"] is None or row["question"] for row in rows(tmp_path, joined))
    assert rows(tmp_path, "select 1 from verdicts")
    examples = [Example.model_validate_json(row["example"]) for row in rows(tmp_path, "select example from examples")]
    assert len(examples) == status["accepted"] > 0
    assert {one.models["verifier"] for one in examples} == {"other-judge"}
    assert {one.document_id for one in examples} <= {row["document_id"] for row in documents.values()}
    asked = len(models.requests())
    assert ran(studio.url, *more)[0] == status
    assert len(models.requests()) == asked
    printed("export", "run", "--format", "jsonl", "--out", "x.jsonl")
    assert len((tmp_path / "x.jsonl").read_text("utf-8").splitlines()) == len(examples)
    for looking in (["show", "run"], ["status", "run"], ["compare", "run", "run"]):
        printed(*looking)
    assert "context.max_rounds: 9 -> 4" in refusal(*command(studio.url, "--max-rounds", "4"))
    assert "holds a run --server: go on with 'autodata run --server'" in refusal("run", "--out", "run")


async def test_a_killed_client_joins_what_is_under_way(
    studio: Studio, models: Models, papers: Path, tmp_path: Path
) -> None:
    before = len(models.requests())
    for wanted in (8, 25):
        process = await asyncio.create_subprocess_exec(
            AUTODATA, *command(studio.url, "--concurrency", "3"), cwd=tmp_path
        )
        await models.asked(before + wanted)
        process.kill()
        assert await process.wait() == -signal.SIGKILL
    status, _ = await asyncio.to_thread(ran_in_a_process, tmp_path, command(studio.url, "--concurrency", "3"))
    assert status["accepted"] + status["rejected"] == len(DOCUMENTS)
    asked = Counter(request["call"] for request in models.requests()[before:])
    assert set(asked.values()) == {1}, "a call was paid for twice"
    threads = [row["thread_id"] for row in rows(tmp_path, "select distinct thread_id from rounds")]
    assert len(threads) == len(DOCUMENTS)
    async with studio.client() as client:
        for thread in threads:
            assert len(await client.runs.list(thread, limit=10)) == 1, "a document was submitted twice"


def ran_in_a_process(folder: Path, arguments: list[str]) -> tuple[dict[str, Any], str]:
    """Run the command as a person does: this process's own loop is busy."""
    done = subprocess.run([AUTODATA, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), done.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--graph", "no_such_graph"], "the server refused"),
        (["--graph", "dataset"], "it takes all documents in one run"),
        (["--graph", "optimizer"], "it takes all documents in one run"),
        (["--profile", "verifier=unknown"], "no such model profile on this server: use one of configured, other"),
        (["--profile", "verifier"], "write ROLE=NAME"),
        (["--max-calls", "5"], "--max-calls: the server pays"),
        (["--server-key-env", "NOT_SET_ANYWHERE"], "export NOT_SET_ANYWHERE=..."),
    ],
)
def test_mistakes_are_reported_in_one_line(
    studio: Studio, models: Models, papers: Path, more: list[str], said: str
) -> None:
    asked = len(models.requests())
    assert said in refusal(*command(studio.url, *more))
    assert len(models.requests()) == asked


def test_options_of_a_server_need_one(papers: Path) -> None:
    assert "go with --server URL" in refusal("run", "--documents", "papers", "--profile", "verifier=other")


def test_a_server_that_is_not_there_leaves_everything_open(papers: Path) -> None:
    result = invoke(*command(f"http://127.0.0.1:{support.free_port()}"))
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert json.loads(result.stdout)["pending"] == len(DOCUMENTS)


async def test_only_the_key_that_is_named_is_sent(
    papers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []

    async def refuse(request: web.Request) -> web.Response:
        seen.append(request.headers.get("x-api-key"))
        return web.json_response({"detail": "who are you?"}, status=401)

    for name, value in {"LANGSMITH_API_KEY": "not-for-you", "LANGGRAPH_API_KEY": "nor-this", "MINE": "the-key"}.items():
        monkeypatch.setenv(name, value)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        for more, key in (([], None), (["--server-key-env", "MINE"], "the-key")):
            process = await asyncio.create_subprocess_exec(
                AUTODATA, *command(url, *more), cwd=tmp_path, stderr=subprocess.PIPE
            )
            _, errors = await process.communicate()
            assert process.returncode == 2
            assert b"the server refused" in errors
            assert set(seen) == {key}
            seen.clear()
    finally:
        await runner.cleanup()
    assert b"the-key" not in b"".join(path.read_bytes() for path in (tmp_path / "run").iterdir())


def test_a_key_is_not_sent_in_the_clear(papers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "the-key")
    said = refusal(*command("http://server.example", "--server-key-env", "MINE"))
    assert "a key is not sent without encryption" in said
    said = refusal(*command("http://user:word@server.example"))
    assert "credentials do not belong in an address" in said
    assert "word" not in said
