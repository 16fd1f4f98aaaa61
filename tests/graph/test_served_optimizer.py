"""The optimiser as a server serves it, in this process: what comes in, what comes out, what never mixes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from langgraph.checkpoint.memory import InMemorySaver

from autodata.graphs.optimizer import build_optimizer
from autodata.graphs.served import compiled
from autodata.graphs.served_optimizer import SearchContext, build_served_optimizer
from autodata.graphs.workshop import CONFIG_VARIABLE, FOLDER_VARIABLE, SIMULATED_NOTE, shut
from autodata.models.simulated_world import META_WORLD
from autodata.prompts.patch import apply_diff
from autodata.nodes.domain import DOMAINS
from tests.support.runs import generated

DOCUMENTS = generated(12)
CONTEXT = {"minibatch": 2, "racing": "off", "acceptance": "meta"}


def pastes(first: int, last: int) -> list[dict[str, str]]:
    return [{"text": one.text, "title": one.title, "name": one.name} for one in DOCUMENTS[first:last]]


def splits(**more: Any) -> dict[str, Any]:
    return {"train": pastes(0, 3), "held_out": pastes(3, 6), "iterations": 2, **more}


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    models = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
    serve = {"profiles": {"other": {"model": "judge-two"}}, "max_documents": 8}
    world = META_WORLD.model_dump() | {"fault_rate": 0.18}
    file = tmp_path / "server.toml"
    file.write_text(tomli_w.dumps({"models": models, "serve": serve, "simulated": world}), "utf-8")
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "server"))
    yield tmp_path / "server"
    await shut()


async def test_it(server: Path) -> None:
    graph = build_served_optimizer().compile(checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": 500}
    events = []
    async for mode, part in graph.astream(splits(test=pastes(6, 8)), thread, context=CONTEXT, stream_mode=["custom", "updates"]):
        print(mode, str(part)[:200])
    values = (await graph.aget_state(thread)).values
    print({k: str(v)[:300] for k, v in values.items()})
    assert 0
