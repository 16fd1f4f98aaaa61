"""A run with lessons from the command line, over real HTTP: killed, gone on with, its lessons changed, its report."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import generated
from tests.support.server import ChatServer, Switches

pytestmark = pytest.mark.enable_socket
AUTODATA = str(Path(sys.executable).parent / "autodata")
RUN = ("run", "--lessons", "--documents", "documents", "--out", "run", "--max-rounds", "2", "--json")


def write(folder: Path, base_url: str) -> None:
    models = f'[models.default]\nmodel = "strong"\nbase_url = "{base_url}"\n[models.weak_solver]\nmodel = "weak"\n'
    (folder / "autodata.toml").write_text(f'domain = "cs"\nseed = 3\nconcurrency = 1\n[lessons]\nbatch = 2\n{models}')
    (folder / "documents").mkdir()
    for document in generated(6, paragraphs=1):
        (folder / "documents" / document.name).write_text(document.text)


async def start(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(AUTODATA, *arguments, cwd=folder, stdout=pipe, stderr=pipe)


async def typed(folder: Path, *arguments: str, code: int = 0) -> str:
    """Return what a command prints, its errors where it fails."""
    process = await start(folder, *arguments)
    out, err = await process.communicate()
    assert process.returncode == code, err.decode()
    return (err if code else out).decode()


async def shown(folder: Path, *arguments: str) -> Any:
    return json.loads(await typed(folder, "lessons", "run", "--json", *arguments))


async def test_lessons_from_the_command_line(tmp_path: Path) -> None:
    async with ChatServer(switches=Switches(latency_s=0.02)) as server:
        write(tmp_path, server.base_url)
        process = await start(tmp_path, *RUN)
        assert process.stderr is not None
        seen = b""
        while b"accepted" not in seen and b"rejected" not in seen:
            seen = await process.stderr.readline()
            assert seen, "it ended before a document did"
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        await typed(tmp_path, *RUN, "--limit", "4")
        first = await shown(tmp_path)
        assert [batch["state"] for batch in first["batches"]] == ["ended", "walked"]
        [lesson, *_] = first["lessons"]
        assert lesson["lesson_id"] == "L1"

        off = await shown(tmp_path, "--off", "L1")
        assert [one["active"] for one in off["lessons"] if one["lesson_id"] == "L1"] == [True, False]
        refused = await typed(tmp_path, "lessons", "run", "--edit", "L1", "--text", " ", code=2)
        assert refused == "autodata: a lesson that is empty: write one sentence of 1 to 300\n"
        refused = await typed(tmp_path, "lessons", "run", "--off", "L9", code=2)
        assert refused.startswith("autodata: no lesson 'L9': it has L1")

        status = json.loads(await typed(tmp_path, *RUN))
        assert status["pending"] == 0
        # What the killed session had sent and not yet noted is asked for again: at most one request a document in work.
        assert len(server.requests) - status["calls"] <= 3 * 2
        last = (await shown(tmp_path))["batches"][-1]
        assert not [ref for ref in last["lessons"] if ref.startswith("L1.")]

    await typed(tmp_path, "report", "run", "--out", "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Lessons by batch" in page
    assert "L1 (off)" in page
    rows = [json.loads(line) for line in (await typed(tmp_path, "export", "run", "--out", "-")).splitlines()]
    assert rows
    assert rows[0]["lessons"] == []
    plain = await typed(tmp_path, "lessons", "run")
    assert plain.startswith("batch 1: ")


async def test_a_run_without_lessons_says_how_to_have_some(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One valve. " * 40)
    table = '[models.default]\nprovider = "simulated"\n'
    (tmp_path / "autodata.toml").write_text(f'domain = "cs"\nmax_rounds = 1\n{table}')
    await typed(tmp_path, "run", "--documents", "a.txt", "--out", "run")
    said = await typed(tmp_path, "lessons", "run", code=2)
    assert said == "autodata: run has no lessons: they are made by 'autodata run --lessons', a batch at a time\n"
    refused = await typed(tmp_path, "run", "--lessons", "--documents", "a.txt", "--out", "run", code=2)
    assert "lessons.enabled: not set -> True" in refused
    refused = await typed(tmp_path, "run", "--lessons", "--server", "http://127.0.0.1:9", "--out", "other", code=2)
    assert refused.startswith("autodata: --lessons: ")
