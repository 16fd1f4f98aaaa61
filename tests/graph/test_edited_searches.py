"""Whatever a client writes into the state of a search or of a dataset: taken, or refused in one line that names it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from langgraph.checkpoint.memory import InMemorySaver

from autodata.models.simulated.world import META_WORLD
from autodata.serving.errors import Errored, Refused, Stopped
from autodata.serving.exports import BUILDERS
from autodata.serving.graph import compile_served
from autodata.serving.runtime import CONFIG_VARIABLE, FOLDER_VARIABLE, shut
from tests.support.runs import generated

pytestmark = pytest.mark.slow  # each test makes a search

JSON: list[Any] = [None, True, 0, -1, 1.5, 2**62, "", "text", [], [None], ["text"], [{}], {}, {"text": None}]
DOCUMENTS = generated(6)
NODES = ["select_parent", "evaluate_parent", "analyse", "edit", "check", "validate", "decide", "record", "unseal"]
LOOP = "self_instruct_cs"
CONTEXT = {"minibatch": 2, "max_rounds": 2, "acceptance": "meta"}


def pastes(first: int, last: int) -> list[dict[str, str]]:
    return [{"text": one.text, "title": one.title, "name": one.name} for one in DOCUMENTS[first:last]]


class Thread:
    """A thread of a served graph, stopped before one node after the other."""

    def __init__(self, folder: Path, graph: str, name: str = "one") -> None:
        self.folder = folder
        self.graph: Any = compile_served(BUILDERS[graph](), checkpointer=InMemorySaver())
        self.config: Any = {"configurable": {"thread_id": name}, "recursion_limit": 300}

    async def begin(self, given: Any, node: str, **context: Any) -> Any:
        await self.graph.ainvoke(given, self.config, context=context, interrupt_before=[node])
        return await self.graph.aget_state(self.config)

    async def go_on(self, snapshot: Any, node: str) -> Any:
        await self.graph.ainvoke(None, snapshot.config, interrupt_before=node if node == "*" else [node])
        return await self.graph.aget_state(self.config)

    async def edited(self, snapshot: Any, values: dict[str, Any], as_node: str | None = None) -> str:
        """Edit the state before a node and run that node alone; return what was refused."""
        config = await self.graph.aupdate_state(snapshot.config, values, as_node=as_node)
        try:
            await self.graph.ainvoke(None, {**config, "recursion_limit": 300}, interrupt_after="*")
        except (Refused, Stopped, Errored) as error:
            said = str(error)
            assert "\n" not in said, (values, said)
            assert len(said) > 10
            return said
        return ""

    def keys(self) -> list[str]:
        return list(self.graph.builder.schemas[self.graph.builder.state_schema])


@pytest.fixture
async def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "server.toml"))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "server"))
    models = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
    world = META_WORLD.model_dump() | {"fault_rate": 0.18}
    (tmp_path / "server.toml").write_text(tomli_w.dumps({"models": models, "simulated": world}), "utf-8")
    yield tmp_path
    await shut()


def splits(**more: Any) -> dict[str, Any]:
    return {"train": pastes(0, 2), "held_out": pastes(2, 4), "iterations": 1, **more}


@pytest.mark.slow
async def test_every_key_of_a_search_takes_every_json_value_or_refuses_it(folder: Path) -> None:
    thread = Thread(folder, "optimizer")
    snapshot = await thread.begin(splits(), NODES[0], **CONTEXT)
    visited, refused = [], set()
    while snapshot.next:
        node = snapshot.next[0]
        visited.append(node)
        for number, key in enumerate(thread.keys()):
            for value in JSON[(number + len(visited)) % 3 :: 3]:  # the others with another key or node: it takes time
                if await thread.edited(snapshot, {key: value}):
                    refused.add((node, key))
        snapshot = await thread.go_on(snapshot, "*")
    assert visited == [*NODES[:-1], "select_parent", "unseal", "result"]
    assert {node for node, _ in refused} == set(visited)
    assert {"search", "iterations", "n", "parent", "scores", "mutant"} <= {key for _, key in refused}


async def test_what_was_measured_is_not_a_clients_to_write(folder: Path) -> None:
    thread = Thread(folder, "optimizer")
    snapshot = await thread.begin(splits(), "decide", **CONTEXT)
    scores = snapshot.values["scores"]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"scores": {**scores, "parent": "3/7", "mutant": "6/7"}}, "state.scores.parent: it is not what was measured"),
        ({"scores": {"parent": scores["parent"]}}, "state.scores.mutant: decide needs one"),
        ({"scores": {"parent": "1/0"}}, "state.scores.parent: String should match pattern"),
        ({"parent": snapshot.values["mutant"]}, "state.parent: the iteration was begun with another"),
        ({"mutant": "0" * 12}, "state.mutant: no prompts of this search"),
        ({"n": 2}, "state.n: no such iteration was begun"),
        ({"search": "../../../etc"}, "state.search: this thread's search is not on this server"),
        ({"search": "0" * 24}, "state.search: this thread's search is not on this server"),
        ({"iterations": 0}, "state.iterations"),
        ({"domain": "legal"}, "state.domain: the search was begun with another"),
    ]
    for values, said in wrong:
        assert said in await thread.edited(snapshot, values)
    assert [path.name for path in (folder / "server" / "searches").glob("*")] == [snapshot.values["search"]]
    recording = await thread.go_on(snapshot, "record")
    other = "rejected" if recording.values["outcome"] == "accepted" else "accepted"
    assert "state.outcome: it does not follow" in await thread.edited(recording, {"outcome": other})
    assert "state.record: it does not follow" in await thread.edited(
        recording, {"record": not recording.values["record"]}
    )


async def test_an_iteration_that_has_ended_stays_as_it_was_recorded(folder: Path) -> None:
    thread = Thread(folder, "optimizer")
    snapshot = await thread.begin(splits(), "edit", **CONTEXT)
    analysis = snapshot.values["analysis"]
    assert not await thread.edited(snapshot, {"analysis": {**analysis, "summary": "A person said more."}})
    await thread.go_on(snapshot, "unseal")
    said = await thread.edited(snapshot, {"analysis": {**analysis, "summary": "Said too late."}})
    assert said.startswith("state.n: this iteration has ended")


async def test_a_search_of_another_thread_is_refused(folder: Path) -> None:
    first, other = Thread(folder, "optimizer"), Thread(folder, "optimizer", "other")
    mine = await first.begin(splits(), "select_parent", **CONTEXT)
    its = await other.begin(splits(), "select_parent", **CONTEXT)
    said = await other.edited(its, {"search": mine.values["search"]})
    assert said == "state.search: it is another thread's: send the input again"
    assert not await first.edited(mine, {"note": "x"})


async def test_a_search_keeps_what_it_began_with(folder: Path) -> None:
    thread = Thread(folder, "optimizer")
    begun = await thread.begin(splits(), "evaluate_parent", **CONTEXT)
    await shut()
    settings = (folder / "server.toml").read_text("utf-8")
    (folder / "server.toml").write_text('seed = 5\nacceptance = "paper"\n' + settings, "utf-8")
    await thread.go_on(begun, "analyse")
    again = await thread.begin(splits(), "evaluate_parent")  # the same input, no context
    assert again.values["search"] == begun.values["search"]
    with closing(sqlite3.connect(folder / "server" / "searches" / begun.values["search"] / "run.db")) as db:
        assert db.execute("select distinct preset from verdicts").fetchall() == [("meta",)]
    other = await thread.begin(splits(train=pastes(4, 6)), "evaluate_parent")
    assert other.values["search"] != begun.values["search"]


@pytest.mark.slow
async def test_every_key_of_a_dataset_takes_every_json_value_or_refuses_it(folder: Path) -> None:
    thread = Thread(folder, "dataset")
    given = {"texts": pastes(0, 2), "domain": "cs"}
    start = await thread.begin(given, "collect", max_rounds=1)
    assert start.next == ("collect",)
    refused = set()
    for as_node in (LOOP, "intake"):
        for number, key in enumerate(thread.keys()):
            for value in JSON if as_node != "intake" else JSON[number % 3 :: 3]:  # each walks a document: it takes time
                if await thread.edited(start, {key: value}, as_node):
                    refused.add((as_node, key))
    assert {key for _, key in refused} >= {"domain", "documents", "results", "pinned"}
    done = await thread.go_on(start, "*")
    assert sum(done.values["counts"].values()) == 2


async def test_results_that_contradict_themselves_are_refused(folder: Path) -> None:
    thread = Thread(folder, "dataset")
    start = await thread.begin({"texts": pastes(0, 1), "domain": "cs"}, "collect", max_rounds=1)
    (entry,) = start.values["results"]
    assert "results" in await thread.edited(start, {"results": [entry]}, LOOP)
    assert "they are not those of the documents" in await thread.edited(
        start, {"documents": [{"document_id": "x"}]}, LOOP
    )
