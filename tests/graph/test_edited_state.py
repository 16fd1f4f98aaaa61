"""Whatever a client writes into a thread's state: the edit is taken, and the next node works or refuses in one line."""

from __future__ import annotations

import copy
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END
from langgraph.types import Command

from autodata.domains.domain import DOMAINS
from autodata.graphs.cot_baseline import build_cot_baseline
from autodata.graphs.self_instruct import build_self_instruct
from autodata.serving.errors import Errored, Refused, Stopped
from autodata.serving.exports import BUILDERS
from autodata.serving.graph import compile_served
from autodata.serving.runtime import CONFIG_VARIABLE, FOLDER_VARIABLE, shut
from tests.support.runs import generated
from tests.support.stages import first_quick

JSON: list[Any] = [None, True, 0, -1, 1.5, 2**62, "", "text", [], [None], ["text"], [{}], {}, {"text": None}]
LOOPS = ["self_instruct_cs", "self_instruct_legal", "self_instruct_science", "cot_baseline"]


def builders() -> Iterator[tuple[str, Callable[[], Any]]]:
    for name, domain in DOMAINS.items():
        for review in (False, True):
            yield f"{name} {review}", partial(build_self_instruct, domain, review=review)
        yield f"{name} baseline", partial(build_cot_baseline, domain)
    yield from BUILDERS.items()


@pytest.mark.parametrize(("name", "build"), [pytest.param(*one, id=one[0]) for one in builders()])
def test_every_edge_has_a_way_for_every_state(name: str, build: Callable[[], Any]) -> None:
    graph = build()
    keys = list(graph.channels)
    states: list[dict[str, Any]] = [{key: value} for key in keys for value in JSON]
    decisions: list[Any] = ["more", "strong", "judge", "accept", "reject", "too_easy", "x", None, 5, [], {}]
    stages: list[Any] = ["weak", [], None]
    states += [{"verdict": {"decision": one, "stage": stage}} for one in decisions for stage in stages]
    states += [dict.fromkeys(keys, value) for value in JSON]
    for source, branches in graph.branches.items():
        for branch in branches.values():
            for state in states:
                went = branch.path.func({"pinned": "x", **state})
                for target in went if isinstance(went, list) else [went]:
                    named = getattr(target, "node", target)
                    assert named in branch.ends, f"{name}: {source} has no way to {named} for {state}"


@pytest.mark.slow
def test_an_ended_thread_can_be_ended_again() -> None:
    for _, build in builders():
        ends = {key for one in build().branches.get("challenger", {}).values() for key in one.ends}
        assert not ends or END in ends


@cache
def compiled(graph: str) -> Any:
    return compile_served(BUILDERS[graph]())


class Thread:
    """A thread of a served graph, and the checkpoint before each of its nodes."""

    def __init__(self, graph: str, folder: Path) -> None:
        self.graph: Any = copy.copy(compiled(graph))
        self.graph.checkpointer = InMemorySaver()
        self.config: Any = {"configurable": {"thread_id": graph}, "recursion_limit": 300}
        self.folder = folder

    async def walk(self, text: str) -> dict[str, Any]:
        """Run to the end, approving on the way; return a snapshot before each node, the earliest of each."""
        context = {"review": "all"} if "human_review" in self.graph.nodes else {}
        await self.graph.ainvoke({"text": text}, self.config, context=context)
        while waiting := (await self.graph.aget_state(self.config)).interrupts:
            answer = {"decision": "approve", "label_id": waiting[0].value["label_id"]}
            await self.graph.ainvoke(Command(resume=answer), self.config)
        found: dict[str, Any] = {}
        async for snapshot in self.graph.aget_state_history(self.config):
            if snapshot.next and snapshot.next[0] not in {"__start__", "intake"}:
                found[snapshot.next[0]] = snapshot
        return found

    async def edited(self, snapshot: Any, values: dict[str, Any]) -> str:
        """Edit the state before a node and run that node alone; return what was refused."""
        config = await self.graph.aupdate_state(snapshot.config, values)
        try:
            await self.graph.ainvoke(None, {**config, "recursion_limit": 300}, interrupt_after="*")
        except (Refused, Stopped, Errored) as error:
            return str(error)
        return ""

    def calls(self) -> int:
        with closing(sqlite3.connect(self.folder / "server" / "run.db")) as db:
            return int(db.execute("select count(*) from calls").fetchone()[0])


@pytest.fixture
async def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "server.toml"))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "server"))
    models = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
    (tmp_path / "server.toml").write_text(tomli_w.dumps({"models": models, "max_rounds": 2, "seed": 3}), "utf-8")
    yield tmp_path
    await shut()


def in_one_line(said: str, node: str, values: Any) -> None:
    assert "\n" not in said, (node, values, said)
    assert "Traceback" not in said
    assert said == "" or len(said) > 10


@pytest.mark.parametrize(("graph", "step"), first_quick((LOOPS[0], 2 * len(JSON)), *((graph, 2) for graph in LOOPS)))
async def test_every_key_takes_every_json_value_or_refuses_it(graph: str, step: int, folder: Path) -> None:
    """Of the values every so many is written into a key, the others into the next keys: it takes its time."""
    thread = Thread(graph, folder)
    snapshots = await thread.walk(generated(1)[0].text)
    assert len(snapshots) >= 6
    keys = [key for key in thread.graph.builder.schemas[thread.graph.builder.state_schema] if key != "context"]
    refused = edits = 0
    for node, snapshot in snapshots.items():
        for number, key in enumerate(keys):
            for value in JSON[number % step :: step]:
                edits += 1
                said = await thread.edited(snapshot, {key: value})
                in_one_line(said, node, {key: value})
                refused += bool(said)
    assert refused > edits / 8


@pytest.mark.slow
@pytest.mark.parametrize(("graph", "changes"), [(graph, 25) for graph in LOOPS])
async def test_values_changed_within_are_taken_or_refused(graph: str, changes: int, folder: Path) -> None:
    thread = Thread(graph, folder)
    snapshots = await thread.walk(generated(1)[0].text)
    rng = random.Random(7)
    for node, snapshot in snapshots.items():
        nested = [key for key, value in snapshot.values.items() if isinstance(value, dict | list) and value]
        for _ in range(changes):
            key = rng.choice(nested)
            values = {key: changed(copy.deepcopy(snapshot.values[key]), rng)}
            in_one_line(await thread.edited(snapshot, values), node, values)


def changed(value: Any, rng: random.Random) -> Any:
    """Return a value with one thing in it replaced by another JSON value, left out, or added."""
    inside = value
    while True:
        places: list[Any] = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        deeper = [place for place in places if isinstance(inside[place], dict | list) and inside[place]]
        if deeper and rng.random() < 0.6:
            inside = inside[rng.choice(deeper)]
            continue
        place, what = rng.choice(places), rng.random()
        if what < 0.2:
            del inside[place]
        elif what < 0.3 and isinstance(inside, dict):
            inside["unknown"] = 1
        else:
            inside[place] = rng.choice(JSON)
        return value


@pytest.mark.slow
async def test_a_candidate_set_on_a_finished_thread(folder: Path) -> None:
    thread = Thread("self_instruct_cs", folder)
    await thread.graph.ainvoke({"text": generated(1)[0].text}, thread.config)
    candidates: list[Any] = [{"question": 5}, None, [], {}, "x"]
    for candidate in candidates:
        await thread.graph.aupdate_state(thread.config, {"candidate": candidate}, as_node="challenger")
        try:
            await thread.graph.ainvoke(None, thread.config)
        except Refused as error:
            in_one_line(str(error), "challenger", candidate)
    await thread.graph.aupdate_state(thread.config, {"attempts": None, "status": ""}, as_node="quality_verifier")
    await thread.graph.ainvoke({"text": generated(1)[0].text}, thread.config)
    assert (await thread.graph.aget_state(thread.config)).values["status"] in {"accepted", "rejected"}


@pytest.mark.slow
async def test_a_state_that_is_refused_costs_nothing(folder: Path) -> None:
    thread = Thread("self_instruct_cs", folder)
    snapshots = await thread.walk(generated(1)[0].text)
    before = thread.calls()
    wrong: list[dict[str, Any]] = [
        {"attempts": [{}]},
        {"candidate": {"question": 5}},
        {"rounds": 5},
        {"document": {}},
    ]
    for node in ("quality_verifier", "weak_solver", "verifier"):
        for values in wrong:
            assert "state." in await thread.edited(snapshots[node], values)
    assert thread.calls() == before
