"""The trace of a run that was killed: what was done is in it, and the next session goes on under the same document."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from autodata.corpus.documents import read_documents
from autodata.examples import documents_folder
from autodata.runner.config import read_config
from tests.support.commands import parsed, printed, words
from tests.support.runs import run_session, settings
from tests.support.server import ChatServer

pytestmark = pytest.mark.enable_socket


class Deadly(ChatServer):
    """Kills a process at the `count`th request."""

    count = 0
    victim: asyncio.subprocess.Process | None = None

    def _note(self, lines: list[dict[str, Any]], line: dict[str, Any]) -> None:
        super()._note(lines, line)
        if lines is self.requests and len(lines) == self.count and self.victim is not None:
            self.victim.kill()


def flat(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [node for top in nodes for node in (top, *flat(top["children"]))]


@pytest.mark.parametrize("count", [2, 17, 31])
async def test_a_killed_run_keeps_its_trace(count: int, tmp_path: Path) -> None:
    document = documents_folder() / "concrete-curing.md"
    async with Deadly() as server:
        values = settings(server.base_url, max_rounds=4, seed=2)
        config = tmp_path / "autodata.toml"
        config.write_text(tomli_w.dumps(values), "utf-8")
        command = [sys.executable, "-c", "import autodata_launch; autodata_launch.main()", "run", str(document)]
        command += ["--config", str(config), "--out", str(tmp_path / "run")]
        server.count = count
        quiet = asyncio.subprocess.DEVNULL
        server.victim = await asyncio.create_subprocess_exec(*command, env=os.environ, stdout=quiet, stderr=quiet)
        assert await server.victim.wait() == -9

        [killed] = (await asyncio.to_thread(parsed, "trace", tmp_path / "run", "concrete", "--json"))["spans"]
        journal = await sit_calls(tmp_path / "run")
        assert killed["status"] == "open"
        kept = {span["call_key"] for span in flat([killed]) if span["kind"] == "call"}
        assert journal <= kept, "a call was paid for and is not in the trace"
        assert "killed, or still at work" in words(
            await asyncio.to_thread(printed, "trace", tmp_path / "run", "concrete")
        )

        server.count = 0
        documents = list(read_documents([document]))
        after = await run_session(tmp_path / "run", values, documents)  # type: ignore[arg-type]
    assert set(after.statuses) <= {"accepted", "rejected"}
    found = await asyncio.to_thread(parsed, "trace", tmp_path / "run", "concrete", "--json")
    first, second = found["spans"]
    assert [first["status"], second["status"]] == ["open", "ok"]
    calls = [span for span in flat(found["spans"]) if span["kind"] == "call"]
    assert {span["call_key"] for span in calls} >= {row["key"] for row in after.calls}
    paid = [span["call_key"] for span in calls if not span["replayed"] and span["journalled"]]
    replayed = [span["call_key"] for span in calls if span["replayed"]]
    assert set(replayed) <= journal
    assert {*paid, *replayed} == {row["key"] for row in after.calls}
    shown = words(await asyncio.to_thread(printed, "trace", tmp_path / "run", "concrete"))
    assert "in 2 sessions" in shown
    assert f"{len(after.calls)} calls" in shown
    assert read_config(config.read_text("utf-8"), "test").tracing.local


async def sit_calls(folder: Path) -> set[str]:
    from autodata.checkpoints.ledger import open_readonly

    async with open_readonly(folder / "run.db") as ledger:
        return {row["key"] for row in await ledger.read("select key from calls")}
