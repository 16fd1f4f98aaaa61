"""A server that is killed loses no thread, and pays again only for calls that were in flight."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from langgraph_sdk.client import LangGraphClient

from tests.support import studio as support
from tests.support.runs import generated, identity, journalled
from tests.support.studio import Models, Studio

pytestmark = pytest.mark.enable_socket

DOCUMENTS = generated(4)
KILLS = 2
AT_ONCE = 2
"""Requests in flight to each of the two models of a search."""
CONTEXT: dict[str, Any] = {"max_rounds": 3, "weak_mean": "< 0.30"}


def config(models: Models, **more: Any) -> dict[str, Any]:
    default = {"model": "strong", "base_url": models.base_url, **more}
    return {"models": {"default": default, "weak_solver": {"model": "weak"}}, "retries": {"base_seconds": 0}}


def paste(number: int) -> dict[str, str]:
    document = DOCUMENTS[number]
    return {"text": document.text, "title": document.title, "name": document.name}


def journal(studio: Studio) -> frozenset[str]:
    with closing(sqlite3.connect(f"file:{studio.ledger}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        return frozenset(journalled([dict(row) for row in db.execute("select * from calls")]))


async def go_on(client: LangGraphClient, thread: str, graph: str, given: dict[str, Any]) -> None:
    """Submit a thread's input, or go on with what its checkpoints hold; wait for nothing."""
    await client.threads.create(thread_id=thread, if_exists="do_nothing", graph_id=graph)
    runs = await client.runs.list(thread, limit=1)
    if runs and runs[0]["status"] in {"pending", "running"}:
        return  # the server has taken it up again by itself
    state = await client.threads.get_state(thread)
    await client.runs.create(thread, graph, input=None if state["next"] else given, context=CONTEXT)


async def ended(client: LangGraphClient, thread: str) -> dict[str, Any]:
    while True:
        for run in await client.runs.list(thread, limit=1):
            await client.runs.join(thread, run["run_id"])
        if (await client.threads.get(thread))["status"] not in {"busy"}:
            break
    state: Any = await client.threads.get_state(thread)
    assert state["next"] == []
    values: dict[str, Any] = state["values"]
    return values


def essence(values: dict[str, Any]) -> list[Any]:
    """What a result says, ids of its thread left out."""
    entries = values.get("results") or [values]
    return [
        [entry["status"], [[row["n"], row["outcome"], row["candidate"], row["weak_mean"]] for row in entry["history"]]]
        for entry in entries
    ]


async def test_kills_lose_no_thread_and_pay_nothing_twice(tmp_path: Path) -> None:
    graphs: dict[str, tuple[str, dict[str, Any]]] = {
        str(uuid4()): ("self_instruct_cs", paste(0)),
        str(uuid4()): ("self_instruct_cs", paste(1)),
        str(uuid4()): ("dataset", {"texts": [paste(2), paste(3)]}),
    }
    with support.models(tmp_path, latency_s=0.03) as models:
        folder, asked_before, lost = tmp_path / "studio", 0, 0
        paid: frozenset[str] = frozenset()
        for life in range(KILLS + 1):
            studio = support.start(folder, config(models))
            try:
                async with studio.client() as client:
                    states = (
                        {thread: await values_of(client, thread, graph) for thread, (graph, _) in graphs.items()}
                        if life
                        else {}
                    )
                    for thread, (graph, given) in graphs.items():
                        await go_on(client, thread, graph, given)
                    if life == KILLS:
                        results = {thread: await ended(client, thread) for thread in graphs}
                        break
                    await models.asked(asked_before + 12)
                studio.kill()
            finally:
                studio.stop()
            assert life == 0 or any(states.values()), "a thread lost its state"
            asked = [request["call"] for request in models.requests()][asked_before:]
            assert not paid & set(asked), "a call was made that was paid for in an earlier life"
            assert journal(studio) >= paid
            lost += len(set(asked) - journal(studio))
            paid, asked_before = journal(studio), asked_before + len(asked)
        asked = [request["call"] for request in models.requests()][asked_before:]
        assert not paid & set(asked)
        assert lost > 0, "no kill met a call in flight"
        times = Counter(request["call"] for request in models.requests())
        assert set(times) == journal(studio)
        assert max(times.values()) <= 1 + KILLS, "a call was lost without a kill"
        with support.studio(tmp_path / "unkilled", config(models)) as reference:
            async with reference.client() as client:
                for thread, (graph, given) in graphs.items():
                    await go_on(client, thread, graph, given)
                    assert essence(await ended(client, thread)) == essence(results[thread])


async def values_of(client: LangGraphClient, thread: str, graph: str) -> Any:
    await client.threads.create(thread_id=thread, if_exists="do_nothing", graph_id=graph)
    return (await client.threads.get_state(thread))["values"]


def journal_of_searches(studio: Studio) -> Counter[str]:
    """Return the calls of all searches: evaluations may ask the same, each for itself."""
    found = Counter[str]()
    for path in (studio.ledger.parent / "searches").glob("*/run.db"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            found.update(identity(dict(row)) for row in db.execute("select * from calls"))
    return found


async def test_a_killed_search_goes_on_and_pays_nothing_twice(tmp_path: Path) -> None:
    given = {"train": [paste(0), paste(1)], "held_out": [paste(2)], "iterations": 2}
    context: dict[str, Any] = {"minibatch": 2, "max_rounds": 2}
    thread = str(uuid4())

    async def search(client: LangGraphClient) -> None:
        await client.threads.create(thread_id=thread, if_exists="do_nothing", graph_id="optimizer")
        runs = await client.runs.list(thread, limit=1)
        if runs and runs[0]["status"] in {"pending", "running"}:
            return
        state = await client.threads.get_state(thread)
        # What goes on gets no context: a search keeps the context that it began with.
        again = {"input": None} if state["next"] else {"input": given, "context": context}
        await client.runs.create(thread, "optimizer", **again)

    with support.models(tmp_path, latency_s=0.02) as models:
        folder, lost = tmp_path / "studio", 0
        asked, paid = Counter[str](), Counter[str]()
        results: dict[str, Any] = {}
        for life in range(KILLS + 1):
            studio = support.start(folder, config(models, max_concurrency=AT_ONCE))
            try:
                async with studio.client() as client:
                    if life:
                        assert await values_of(client, thread, "optimizer"), "the thread lost its state"
                    await search(client)
                    if life == KILLS:
                        results = await ended(client, thread)
                        break
                    await models.asked(asked.total() + 15)
                studio.kill()
            finally:
                studio.stop()
            asked = Counter(request["call"] for request in models.requests())
            assert journal_of_searches(studio) >= paid
            paid = journal_of_searches(studio)
            assert (asked - paid).total() - lost <= 2 * AT_ONCE, "a call was made that was paid for in an earlier life"
            lost = (asked - paid).total()
        asked = Counter(request["call"] for request in models.requests())
        whole_journal = journal_of_searches(studio)
        assert set(asked) == set(whole_journal)
        assert (asked - whole_journal).total() <= lost, "more was asked again than was in flight at the kills"
        with support.studio(tmp_path / "unkilled", config(models, max_concurrency=AT_ONCE)) as reference:
            async with reference.client() as client:
                await search(client)
                whole = await ended(client, thread)
        reported_of = ("baseline", "winner", "prompts", "diff", "log", "usage")
        assert [results[name] for name in reported_of] == [whole[name] for name in reported_of]
