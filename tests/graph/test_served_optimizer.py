"""The optimiser as a server serves it, in this process: what comes in, what comes out, what never mixes."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from langgraph.checkpoint.memory import InMemorySaver

from autodata.checkpoints.ids import document_id
from autodata.domains.domain import DOMAINS
from autodata.jobs.search_report import SearchReport
from autodata.models.simulated.world import META_WORLD
from autodata.prompts import load_pack
from autodata.prompts.patch import apply_diff
from autodata.runner.brief import SIMULATED_NOTE
from autodata.serving.errors import Refused, Stopped
from autodata.serving.exports import build_served
from autodata.serving.optimizer import build_served_optimizer
from autodata.serving.runtime import CONFIG_VARIABLE, FOLDER_VARIABLE, server_runtime, shut
from tests.support.runs import generated
from tests.support.stages import first_quick

DOCUMENTS = generated(9)
CONTEXT = {"minibatch": 2, "max_rounds": 2, "acceptance": "meta"}


def pastes(first: int, last: int) -> list[dict[str, str]]:
    return [{"text": one.text, "title": one.title, "name": one.name} for one in DOCUMENTS[first:last]]


def splits(**more: Any) -> dict[str, Any]:
    return {"train": pastes(0, 2), "held_out": pastes(2, 4), "iterations": 1, **more}


def thread(name: str) -> Any:
    return {"configurable": {"thread_id": name}, "recursion_limit": 200}


class Server:
    """A server's folder and graph, and what a client sees of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.saver = folder, InMemorySaver()
        self.graph: Any = build_served_optimizer().compile(checkpointer=self.saver)
        self.configure()

    def configure(self, **more: Any) -> None:
        models = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
        serve = {"profiles": {"other": {"model": "judge-two"}}, "max_documents": 6}
        world = META_WORLD.model_dump() | {"fault_rate": 0.18}
        config = {"models": models, "serve": serve, "simulated": world, **more}
        (self.folder / "server.toml").write_text(tomli_w.dumps(config), "utf-8")

    async def run(self, name: str, given: Any, **options: Any) -> dict[str, Any]:
        context = options.pop("context", CONTEXT)
        await self.graph.ainvoke(given, thread(name), context=context, **options)
        return await self.values(name)

    async def values(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.graph.aget_state(thread(name))).values
        return found

    def searches(self) -> list[Path]:
        return sorted((self.folder / "server" / "searches").glob("*"))

    def calls(self) -> int:
        found = 0
        for folder in self.searches():
            with closing(sqlite3.connect(folder / "run.db")) as db:
                found += db.execute("select count(*) from calls").fetchone()[0]
        return found


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "server.toml"))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "server"))
    yield Server(tmp_path)
    await shut()


def found(values: dict[str, Any]) -> list[Any]:
    names = ("baseline", "winner", "prompts", "diff", "log", "tested", "usage")
    return [values[name] for name in names]


@pytest.mark.slow
async def test_a_search_ends_with_its_whole_result(server: Server) -> None:
    seen: dict[str, list[Any]] = {"custom": [], "updates": []}
    given = splits(iterations=2, test=pastes(4, 5))
    modes: Any = [*seen]
    async for mode, part in server.graph.astream(given, thread("one"), context=CONTEXT, stream_mode=modes):
        seen[mode].append(part)
    values = await server.values("one")
    nodes = [name for update in seen["updates"] for name in update]
    assert (nodes[0], nodes[-2:]) == ("intake", ["unseal", "result"])
    assert nodes.count("record") == 2
    assert [event["event"] for event in seen["custom"]].count("recorded") == 2
    assert all("result" not in event for event in seen["custom"])

    pack = DOMAINS["cs"].pack()
    won = apply_diff(pack, values["diff"]) if values["diff"] else pack
    assert {role: prompt.text for role, prompt in won.prompts.items()} == values["prompts"]
    assert (values["baseline"]["pack"], values["winner"]["pack"]) == (pack.version, won.version)
    assert [row["n"] for row in values["log"]] == [1, 2]
    assert all(row["outcome"] and row["reason"] and row["summary"] for row in values["log"])
    assert any(row["analysis"] for row in values["log"])
    assert {row["pack"] for row in values["tested"]} == {pack.version, won.version}
    assert sum(row["calls"] for row in values["usage"]) == server.calls()
    assert {"analyst", "editor"} <= values["models"].keys()
    assert values["note"] == SIMULATED_NOTE
    assert [len(values["documents"][split]) for split in ("train", "validate", "test")] == [2, 2, 1]
    assert not {"train", "held_out", "test"} & values.keys()
    assert not any(document.text in str(values) for document in DOCUMENTS)
    assert list(server.saver.storage) == ["one"], "an evaluation wrote into the server's threads"


@pytest.mark.slow
async def test_the_same_input_pays_nothing_and_more_iterations_go_on(server: Server) -> None:
    first = await server.run("one", splits())
    paid = server.calls()
    assert found(await server.run("one", splits())) == found(first)
    assert server.calls() == paid
    more = await server.run("one", splits(iterations=2))
    assert more["log"][:1] == first["log"]
    assert len(more["log"]) == 2
    assert len(server.searches()) == 1


@pytest.mark.slow
async def test_threads_and_inputs_share_no_search(server: Server) -> None:
    one, other = await server.run("one", splits()), await server.run("other", splits())
    assert found(one) == found(other)
    assert one["search"] != other["search"]
    assert sum(row["calls"] for row in one["usage"]) * 2 == server.calls()
    turned = await server.run("one", splits(train=pastes(5, 7)))
    assert turned["search"] not in {one["search"], other["search"]}
    assert turned["documents"]["train"] != one["documents"]["train"]
    assert len(turned["log"]) == 1
    assert len(server.searches()) == 3


@pytest.mark.slow
async def test_a_server_that_starts_again_goes_on_with_what_the_search_began_with(server: Server) -> None:
    await server.run("one", splits(iterations=2), interrupt_before=["analyse"])
    paid = server.calls()
    await shut()
    await server.run("one", None, context=None, interrupt_before=["validate"])
    await shut()
    values = await server.run("one", None, context=None)
    whole = await server.run("whole", splits(iterations=2))
    assert found(values) == found(whole)
    assert server.calls() == 2 * sum(row["calls"] for row in whole["usage"]) > 2 * paid > 0


@pytest.mark.slow
async def test_a_search_does_not_go_on_under_other_settings_of_the_server(server: Server) -> None:
    await server.run("one", splits(), interrupt_before=["evaluate_parent"])
    await shut()
    default = {"provider": "simulated", "model": "strong"}
    server.configure(seed=5, models={"default": default, "weak_solver": {"model": "weak", "temperature": 0.3}})
    with pytest.raises(
        Refused, match=r"began under other settings of the server \(models.weak_solver.temperature: "
    ) as refused:
        await server.run("one", None)
    assert "seed" not in str(refused.value), "the seed is the search's own"
    fresh = await server.run("one", splits())
    assert len(fresh["log"]) == 1
    assert len(server.searches()) == 2


@pytest.mark.slow
async def test_the_budget_of_the_server_bounds_its_searches_too(server: Server) -> None:
    server.configure(budget={"max_calls": 12})
    with pytest.raises(Stopped, match="the budget --max-calls 12 is spent"):
        await server.run("one", splits())
    assert server.calls() == 12
    await shut()
    with pytest.raises(Stopped, match="the budget --max-calls 12 is spent"):
        await server.run("one", None)
    assert server.calls() == 12
    await shut()
    server.configure()
    values = await server.run("one", None)
    assert len(values["log"]) == 1
    assert sum(row["calls"] for row in values["usage"]) == server.calls()


@pytest.mark.slow
async def test_what_stops_a_search_stops_no_other_thread(server: Server) -> None:
    await server.run("one", splits(), interrupt_before=["select_parent"])
    runtime = await server_runtime()
    opened = await runtime.searches.folder_of((await server.values("one"))["search"])
    assert opened.session is not None
    opened.session.optimization.drain("an endpoint is down", failed=True)
    loop: Any = build_served(DOMAINS["cs"]).compile(checkpointer=server.saver)
    document = await loop.ainvoke(pastes(8, 9)[0], thread("document"), context={"max_rounds": 1})
    assert document["status"] in {"accepted", "rejected"}
    with pytest.raises(Stopped, match="an endpoint is down"):
        await server.run("one", None)
    assert len((await server.run("one", None))["log"]) == 1


@pytest.mark.slow
async def test_prompts_of_a_caller_are_the_baseline_and_the_command_line_reads_the_folder(server: Server) -> None:
    text = DOMAINS["cs"].pack()["challenger"].text
    own = text.replace("# user\n", "# user\nThis was added in Studio.\n", 1)
    analyst = load_pack("optimizer")["analyst"].text + "\nBe brief.\n"
    chosen = {"challenger_prompt": own, "analyst_prompt": analyst, "editor_model": "other"}
    values = await server.run("one", splits(), context={**CONTEXT, **chosen})
    assert "This was added in Studio." in values["prompts"]["challenger"]
    assert values["models"]["editor"] == "simulated:judge-two"
    assert values["baseline"]["pack"] != DOMAINS["cs"].pack().version
    (folder,) = server.searches()
    report = await SearchReport.of(folder)
    assert report.winner_pack.version == values["winner"]["pack"]
    assert report.summary["baseline"] == values["baseline"]
    with closing(sqlite3.connect(folder / "run.db")) as db:
        asked = dict(
            db.execute("select role, prompt_version from calls where role in ('analyst', 'editor')").fetchall()
        )
    shipped = load_pack("optimizer")
    assert asked["analyst"] != shipped["analyst"].version
    assert asked["editor"] == shipped["editor"].version


@pytest.mark.parametrize(
    ("given", "context", "said"),
    first_quick(
        ({"held_out": pastes(1, 3)}, {}, r"held_out\[0\]: 01.txt is in train, too \(as 01.txt\): keep held-out"),
        ({"test": pastes(2, 3)}, {}, r"test\[0\]: 02.txt is in held_out, too"),
        ({"train": [{"text": " "}]}, {}, r"train\[0\]\.text: empty"),
        ({"train": pastes(4, 9)}, {}, "7 documents where the server takes 6"),
        ({}, {"editor_model": "unknown"}, "context.editor_model: no such model profile"),
        ({}, {"analyst_prompt": "no front matter"}, "context.analyst_prompt: a prompt starts with TOML"),
        ({}, {"analyst_prompt": "+++\nplaceholders = []\n+++\n# user\nGo.\n"}, "analyst_prompt: it lacks {{history}}"),
        ({"domain": "science"}, {"acceptance": "paper", "loop_judge_prompt": "x"}, "context.loop_judge_prompt"),
        quick=2,
    ),
)
async def test_what_cannot_be_searched_with_is_refused(
    server: Server, given: dict[str, Any], context: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        await server.run("one", splits(**given), context=context)
    assert server.searches() == []


async def test_near_copies_across_splits_are_named_before_anything_is_paid(server: Server) -> None:
    (first,) = pastes(0, 1)
    copy = {**first, "text": f"{first['text']} One more sentence.", "name": "copy.md"}
    given = {"train": [first], "held_out": [*pastes(2, 3), copy], "iterations": 1}
    await server.graph.ainvoke(given, thread("near"), context=CONTEXT, interrupt_after=["intake"])
    assert (await server.values("near"))["note"] == (
        f"{SIMULATED_NOTE} copy.md of held_out is nearly the same as {first['name']} of train: a held-out score that"
        " rests on it flatters; leave one of them out."
    )


async def test_parts_of_one_document_stand_in_one_split_and_are_said_to_be_parts(server: Server) -> None:
    server.configure(documents={"max_chars": 700, "chunk": True})
    long, *short = generated(4, 6)
    texts = [{"text": long.text, "title": long.title, "name": "long.md"}]
    others = [{"text": one.text[:600], "name": one.name} for one in short]
    given = {"train": others[:2], "held_out": texts, "iterations": 1}
    await server.graph.ainvoke(given, thread("long"), context=CONTEXT, interrupt_after=["intake"])
    values = await server.values("long")
    parts = [one["document_id"] for one in values["documents"]["validate"]]
    assert len(parts) > 1
    assert {one.partition("#")[0] for one in parts} == {document_id(long.text)}
    assert not set(parts) & {one["document_id"] for split in ("train", "test") for one in values["documents"][split]}
    assert values["note"] == f"{SIMULATED_NOTE} long.md is long: taken in {len(parts)} parts."
    with pytest.raises(Refused, match=r"test\[0\]: long.md#\d is in held_out, too"):
        await server.graph.ainvoke({**given, "test": texts}, thread("both"), context=CONTEXT)
