"""A run seen from its folder while another works on it: `autodata status --watch`."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from autodata.checkpoints.ledger import open_readonly
from autodata.cli import status as status_command
from autodata.cli import watch
from autodata.jobs.standing import Standing
from autodata.jobs.watch import Worker, standing_of, worker_of
from autodata.models.role_model import RoleModel
from autodata.nodes.events import AcceptedEvent
from autodata.runner.config import RunConfig
from autodata.runner.document_runner import open_runner
from autodata.runner.events import CallEvent, RunEvent
from autodata.runner.ingest import add_documents
from tests.support.commands import invoke, refusal
from tests.support.runs import generated

MODELS = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
EASY = {"weak_mean": "< 0.95", "strong_mean": ">= 0.10", "gap": ">= -0.80"}
CONFIG = RunConfig.model_validate(
    {"domain": "cs", "models": MODELS, "concurrency": 2, "max_rounds": 3, "acceptance": EASY}
)


async def look(folder: Path, now: float | None = None) -> Standing:
    worker = worker_of(folder)
    async with open_readonly(folder / "run.db") as ledger:
        return await standing_of(ledger, worker, now or worker.since + 60)


async def test_what_is_seen_from_outside_is_what_the_run_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One attempt gets no reply until somebody has seen from outside that it is on its way."""
    folder, seen = tmp_path / "run", list[tuple[str, Standing]]()
    documents, send = generated(3), RoleModel.send
    noticed, held = asyncio.Event(), list[str]()

    async def slow(model: RoleModel, messages: Any, seed: int, schema: Any, metadata: Any, **more: Any) -> Any:
        if metadata["role"] == "weak_solver" and not held:
            held.append(metadata["attempt"])
            async with asyncio.timeout(300):
                await noticed.wait()
        return await send(model, messages, seed, schema, metadata, **more)

    async def noting() -> Standing:
        found = await look(folder)
        if held and any(one.in_flight for one in found.endpoints):
            noticed.set()
        return found

    monkeypatch.setattr(RoleModel, "send", slow)
    async with open_runner(CONFIG, folder) as runner:
        await add_documents(runner.ledger, documents)
        looks: list[asyncio.Task[Standing]] = []

        def on_event(event: RunEvent) -> None:
            if isinstance(event, CallEvent | AcceptedEvent) and len(looks) < 40:
                looks.append(asyncio.create_task(noting()))

        runner.on_event = on_event
        await runner.run()
        seen = [("", await one) for one in looks]
    last = await look(folder)
    for _, now in seen:
        assert sum(now.funnel.values()) == 3
        assert all(count >= 0 for count in now.funnel.values())
    stages = {stage for _, now in seen for stage, count in now.funnel.items() if count}
    assert {"waiting", "quality", "weak"} <= stages
    assert any(one.in_flight for _, now in seen for one in now.endpoints)
    assert last.left == 0
    assert last.made
    assert last.accepted + last.funnel["rejected"] == 3
    assert last.ended == 3
    assert last.used == last.spent
    assert last.accepted_per_hour == pytest.approx(60 * last.made)


async def test_where_a_document_is_follows_from_its_last_reply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, send = tmp_path / "run", RoleModel.send
    found: dict[str, Standing] = {}

    async def held(model: RoleModel, messages: Any, seed: int, schema: Any, metadata: Any, **more: Any) -> Any:
        role = metadata["role"]
        stage = "weak" if metadata["attempt"].startswith("weak") else "strong"
        name = f"{stage} mark" if role == "verifier" else role
        if name not in found:
            await asyncio.sleep(0)
            found[name] = await look(folder)
        return await send(model, messages, seed, schema, metadata, **more)

    monkeypatch.setattr(RoleModel, "send", held)
    alone = CONFIG.model_copy(update={"concurrency": 1})
    async with open_runner(alone, folder) as runner:
        await add_documents(runner.ledger, generated(2))
        await runner.run()
    at = {
        name: next(s for s in ("challenge", "quality", "weak", "strong", "waiting") if now.funnel[s])
        for name, now in found.items()
    }
    # The very first call has no reply before it: its document still waits.
    assert at["quality_verifier"] == "quality"
    assert at["weak_solver"] == "weak"
    assert at["weak mark"] == "weak"
    assert at["strong mark"] == "strong"
    assert [one.name for one in found["weak mark"].endpoints] == ["strong", "weak"]


async def test_watching_ends_with_the_run_and_writes_nothing_itself(tmp_path: Path) -> None:
    folder, out = tmp_path / "run", io.StringIO()
    async with open_runner(CONFIG, folder) as runner:
        await add_documents(runner.ledger, generated(2))
        running = asyncio.create_task(runner.run())
        slept = 0

        async def sleep(seconds: float) -> None:
            nonlocal slept
            slept += 1
            await asyncio.sleep(0)
            if slept > 2:
                await running

        await asyncio.wait_for(watch._watch(folder, Console(file=out), sleep=sleep), 60)
        await running
    assert out.getvalue().splitlines()[-1] == "the run has ended"


def test_a_folder_that_nobody_works_in_is_shown_once(tmp_path: Path) -> None:
    asyncio.run(_half(tmp_path / "run"))
    (tmp_path / "run" / "lock").write_text("999999999", "utf-8")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    result = invoke("status", tmp_path / "run", "--watch")
    assert result.exit_code == 0, result.output
    assert "no process works on it" in result.stdout
    assert "documents accepted" in result.stdout, "and the whole status after it"
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_ctrl_c_ends_the_showing_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(_half(tmp_path / "run"))
    (tmp_path / "run" / "lock").write_text(str(os.getpid()), "utf-8")

    async def interrupted(*given: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "_watch", interrupted)
    result = invoke("status", tmp_path / "run", "--watch")
    assert result.exit_code == 0, result.output
    assert status_command.status.__name__ == "status"


def test_a_program_is_asked_to_read_without_watching(tmp_path: Path) -> None:
    assert "--watch shows a person" in refusal("status", tmp_path, "--watch", "--json")


def test_who_works_in_a_folder_is_read_from_its_lock(tmp_path: Path) -> None:
    assert not worker_of(tmp_path).alive
    (tmp_path / "lock").write_text(str(os.getpid()), "utf-8")
    assert worker_of(tmp_path).alive
    (tmp_path / "lock").write_text("", "utf-8")
    assert worker_of(tmp_path) == Worker(None, (tmp_path / "lock").stat().st_mtime)


async def _half(folder: Path) -> None:
    async with open_runner(CONFIG.model_copy(update={"limit": 1}), folder) as runner:
        await add_documents(runner.ledger, generated(2))
        await runner.run()
