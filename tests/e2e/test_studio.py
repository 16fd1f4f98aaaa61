"""The graphs of `langgraph.json` on `langgraph dev`, driven as Studio and any other client drive them."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient

from autodata.domains.domain import DOMAINS
from autodata.runner.brief import SIMULATED_NOTE
from autodata.serving.exports import EXPORTS
from tests.support import schemas
from tests.support import studio as support
from tests.support.langsmith import LangSmith
from tests.support.runs import generated
from tests.support.studio import Models, Studio

pytestmark = pytest.mark.enable_socket

DOCUMENTS = generated(6)
PROFILES = {"first": "judge-one", "second": "judge-two", "third": "judge-three", "small": "weak", "large": "strong"}


def config(base_url: str) -> dict[str, Any]:
    default = {"model": "strong", "base_url": base_url, "api_key_env": "AUTODATA_TEST_KEY"}
    return {
        "max_rounds": 4,
        "models": {"default": default, "weak_solver": {"model": "weak"}},
        "retries": {"base_seconds": 0},
        "serve": {"profiles": {name: {"model": model} for name, model in PROFILES.items()}, "max_documents": 4},
    }


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    with support.models(tmp_path_factory.mktemp("models")) as running:
        yield running


@pytest.fixture(scope="module")
def studio(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    with support.studio(folder, config(models.base_url), {"AUTODATA_TEST_KEY": "a-secret-key"}) as running:
        yield running
        assert running.left_the_machine() == []
        stored = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
        assert b"a-secret-key" not in stored


@pytest.fixture
async def client(studio: Studio) -> AsyncIterator[LangGraphClient]:
    async with studio.client() as connected:
        yield connected


def paste(number: int = 0) -> dict[str, str]:
    document = DOCUMENTS[number]
    return {"text": document.text, "title": document.title, "name": document.name}


def rows(studio: Studio, sql: str, *values: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(f"file:{studio.ledger}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(sql, values)]


async def ran(studio: Studio, graph: str, given: Any, **more: Any) -> tuple[str, dict[str, Any]]:
    """Run a graph on a thread of its own; return the thread and its values."""
    async with studio.client() as client:
        thread = (await client.threads.create())["thread_id"]
        await client.runs.wait(thread, graph, input=given, **more)
        state = await client.threads.get_state(thread)
    assert state["next"] == []
    values: Any = state["values"]
    return thread, values


async def refusal_of(studio: Studio, graph: str, given: Any, **more: Any) -> str:
    """Run what cannot be run; return the error that the caller gets."""
    async with studio.client() as client:
        thread = (await client.threads.create())["thread_id"]
        answer: Any = await client.runs.wait(thread, graph, input=given, raise_error=False, **more)
        assert (await client.threads.get(thread))["status"] == "error"
    return f"{answer['__error__']['error']}: {answer['__error__']['message']}"


async def test_every_graph_is_served_by_its_name(studio: Studio, client: LangGraphClient) -> None:
    assistants = await client.assistants.search(limit=100)
    assert sorted(one["graph_id"] for one in assistants) == sorted(EXPORTS)
    named = json.loads((support.ROOT / "langgraph.json").read_text("utf-8"))["graphs"]
    assert {name: spec["path"] for name, spec in named.items()} == {
        name: f"autodata.serving.exports:{name}" for name in EXPORTS
    }


async def test_served_schemas_are_those_checked_in(client: LangGraphClient) -> None:
    for name in EXPORTS:
        (assistant,) = await client.assistants.search(graph_id=name)
        served: Any = await client.assistants.get_schemas(assistant["assistant_id"])
        wanted = {kind: served[kind] for kind in ("input_schema", "output_schema", "state_schema", "context_schema")}
        assert schemas.kept(wanted) == (schemas.FOLDER / f"{name}.json").read_text("utf-8"), f"{name}: make golden"


async def test_nodes_on_the_canvas_say_what_they_do(studio: Studio, client: LangGraphClient) -> None:
    for name in EXPORTS:
        drawn: Any = await client.assistants.get_graph(name)
        nodes = {node["id"]: node for node in drawn["nodes"] if node["id"] not in {"__start__", "__end__"}}
        assert nodes
        assert all(node["metadata"]["description"].endswith(".") for node in nodes.values()), name


@pytest.mark.parametrize("domain", ["cs", "legal", "science"])
async def test_a_pasted_document_ends_with_its_whole_result(studio: Studio, domain: str) -> None:
    thread, values = await ran(studio, f"self_instruct_{domain}", paste())
    assert values["status"] in {"accepted", "rejected"}
    assert "text" not in values
    assert values["document"]["title"] == DOCUMENTS[0].title
    assert [row["n"] for row in values["history"]] == [row["n"] for row in values["rounds"]]
    assert (values["example"] is not None) == (values["status"] == "accepted")
    last = values["history"][-1]
    assert last["candidate"]["question"]
    assert last["outcome"] == values["status"]
    assert any(row["attempts"] for row in values["history"])
    assert any(row["verdicts"] for row in values["history"])
    assert {row["role"] for row in values["usage"]} <= set(DOMAINS[domain].roles)
    evaluation = f"server-{thread}/{values['document']['document_id']}"
    calls = rows(studio, "select role from calls where thread_id = ?", evaluation)
    assert sum(row["calls"] for row in values["usage"]) == len(calls)
    assert len(rows(studio, "select 1 from rounds where thread_id = ?", evaluation)) == len(values["rounds"])
    assert values["note"] == ""


async def test_the_baseline_measures_one_round(studio: Studio) -> None:
    _, values = await ran(studio, "cot_baseline", paste())
    assert len(values["rounds"]) == 1
    assert values["example"] is None or values["example"]["preset"] == "measure"
    refusal = await refusal_of(studio, "cot_baseline", paste(), context={"max_rounds": 3})
    assert refusal.startswith("Refused: context.max_rounds: not for a caller to choose")


async def test_updates_and_typed_events_are_streamed(studio: Studio, client: LangGraphClient) -> None:
    thread = (await client.threads.create())["thread_id"]
    seen: dict[str, list[Any]] = {"updates": [], "custom": []}
    async for part in client.runs.stream(thread, "self_instruct_cs", input=paste(1), stream_mode=["updates", "custom"]):
        seen.setdefault(part.event, []).append(part.data)
    nodes = [node for update in seen["updates"] for node in update]
    assert nodes[0] == "intake"
    assert nodes[-1] == "result"
    assert all(value for update in seen["updates"] for value in update.values()), "a node streamed nothing"
    events = [event["event"] for event in seen["custom"]]
    assert {"candidate", "quality", "attempt", "mark", "verdict"} <= set(events)
    values: Any = (await client.threads.get_state(thread))["values"]
    assert events.count("accepted") == (values["status"] == "accepted")
    assert events.count("feedback") == sum(row["failure_mode"] is not None for row in values["rounds"])


async def test_a_fork_from_a_round_goes_on_with_what_a_person_wrote(studio: Studio, client: LangGraphClient) -> None:
    thread, values = await ran(studio, "self_instruct_cs", paste(2), context={"weak_mean": "< 0.01", "max_rounds": 2})
    assert values["status"] == "rejected"
    history = await client.threads.get_history(thread, limit=200)
    of_rounds: list[Any] = [state for state in history if state["next"] == ["quality_verifier"]]
    before = next(state for state in of_rounds if state["values"]["n"] == 1)
    candidate = {
        **before["values"]["candidate"],
        "question": "What would a person ask here? [item d=+0.50 a=1.00 fault=none]",
    }
    forked: Any = await client.threads.update_state(
        thread, {"candidate": candidate}, checkpoint=before["checkpoint"], as_node="challenger"
    )
    # Another context changes nothing: a fork goes on with what its thread began with.
    await client.runs.wait(
        thread, "self_instruct_cs", input=None, checkpoint=forked["checkpoint"], context={"max_rounds": 1}
    )
    after: Any = (await client.threads.get_state(thread))["values"]
    assert after["history"][0]["candidate"]["question"] == candidate["question"]
    assert len(after["history"]) == 2
    assert len(await client.threads.get_history(thread, limit=200)) > len(history)


async def test_a_run_stops_before_a_node_and_goes_on(studio: Studio, client: LangGraphClient) -> None:
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "self_instruct_cs", input=paste(3), interrupt_before=["weak_solver"])
    state = await client.threads.get_state(thread)
    assert state["next"] == ["weak_solver"]
    assert (await client.threads.get(thread))["status"] == "interrupted"
    solved = "select 1 from calls where role = 'weak_solver' and thread_id like ?"
    assert rows(studio, solved, f"server-{thread}/%") == []
    await client.runs.wait(thread, "self_instruct_cs", input=None)
    values: Any = (await client.threads.get_state(thread))["values"]
    assert values["status"] in {"accepted", "rejected"}


async def test_a_candidate_waits_for_a_person_who_answers_by_the_api(studio: Studio, client: LangGraphClient) -> None:
    """Reject with a reason, which the next challenger sees; then approve what is asked about until the end."""
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "self_instruct_cs", input=paste(1), context={"review": "all"})
    assert (await client.threads.get(thread))["status"] == "interrupted"
    (question,) = (await interrupts(client, thread)).values()
    assert {"document", "candidate", "verdict", "label_id"} <= question.keys()
    bad = await client.runs.wait(
        thread,
        "self_instruct_cs",
        command={"resume": {"decision": "reject"}},
        raise_error=False,
    )
    assert "__error__" not in bad
    (question,) = (await interrupts(client, thread)).values()
    assert question["error"] == "a rejection needs a reason"
    assert [one["thread_id"] for one in await client.threads.search(status="interrupted") if one["thread_id"] == thread]
    reason = "Ask for consequences, not for causes."
    answer: Any = {"decision": "reject", "reason": reason, "reviewer": "a person"}
    asked = 0
    while (await client.threads.get_state(thread))["next"]:
        await client.runs.wait(thread, "self_instruct_cs", command={"resume": answer})  # no context: it is the thread's
        asked += 1
        for question in (await interrupts(client, thread)).values():
            assert question["error"] == ""
            answer = {"decision": "approve", "label_id": question["label_id"]}
    state: Any = (await client.threads.get_state(thread))["values"]
    assert state["status"] in {"accepted", "rejected"}
    assert reason in json.dumps(state["history"], ensure_ascii=False)
    labels = rows(studio, "select * from labels where thread_id like ? order by rowid", f"server-{thread}/%")
    assert [row["decision"] for row in labels] == ["reject", *["approve"] * (asked - 1)]
    assert (labels[0]["reason"], labels[0]["reviewer"]) == (reason, "a person")


async def test_documents_of_a_dataset_wait_each_for_its_own_answer(client: LangGraphClient) -> None:
    thread = (await client.threads.create())["thread_id"]
    given: Any = {"texts": [paste(number) for number in range(3)], "domain": "cs"}
    context: Any = {"review": "accepted", "acceptance": "meta", "max_rounds": 12}
    await client.runs.wait(thread, "dataset", input=given, context=context)
    asked = 0
    while waiting := await interrupts(client, thread):
        asked += len(waiting)
        answers = {identity: {"decision": "approve"} for identity in waiting}
        await client.runs.wait(thread, "dataset", command={"resume": answers}, context=context)
    state: Any = (await client.threads.get_state(thread))["values"]
    assert len(state["results"]) == 3
    assert asked == len(state["examples"]) == state["counts"].get("accepted", 0) > 0


async def test_a_double_click_counts_once(studio: Studio, client: LangGraphClient) -> None:
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "self_instruct_cs", input=paste(1), context={"review": "all", "max_rounds": 3})
    ((first, _),) = (await interrupts(client, thread)).items()
    answer: Any = {"decision": "reject", "reason": "It names no machine."}
    await asyncio.gather(
        *(client.runs.wait(thread, "self_instruct_cs", command={"resume": answer}) for _ in range(3)),
        client.runs.wait(thread, "self_instruct_cs", command={"resume": {first: answer}}),
    )
    kept = "select decision from labels where decision is not null and thread_id like ?"
    assert rows(studio, kept, f"server-{thread}/%") == [{"decision": "reject"}]
    ((second, question),) = (await interrupts(client, thread)).items()
    assert second != first
    assert "sent before this question was asked" in question["error"]
    wrongs: list[Any] = [{"decision": "nope"}, None, "approve", []]
    for wrong in wrongs:
        command: Any = {"resume": wrong}
        await client.runs.wait(thread, "self_instruct_cs", command=command)
        assert (await client.threads.get(thread))["status"] == "interrupted"
    await client.runs.wait(thread, "self_instruct_cs", input=None, context={"review": "none"})
    assert await interrupts(client, thread), "another context answers nothing"
    assert rows(studio, kept, f"server-{thread}/%") == [{"decision": "reject"}]


async def test_an_edited_state_is_no_error_of_the_server(client: LangGraphClient) -> None:
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "self_instruct_cs", input=paste(1), context={"max_rounds": 1})
    for values, node in (({"candidate": {"question": 5}}, "challenger"), ({"attempts": None}, "quality_verifier")):
        await client.threads.update_state(thread, values, as_node=node)
        answer: Any = await client.runs.wait(thread, "self_instruct_cs", input=None, raise_error=False)
        wrong = answer.get("__error__", {"error": "Refused", "message": ""})
        assert wrong["error"] == "Refused"
        assert "\n" not in wrong["message"]
    refusal: Any = await client.runs.wait(thread, "self_instruct_cs", input={**paste(1), "x": 1}, raise_error=False)
    assert "input.x: unknown key" in refusal["__error__"]["message"]


async def test_a_key_in_the_environment_sends_nothing(tmp_path: Path) -> None:
    async with LangSmith() as service:
        keys = {"LANGSMITH_API_KEY": "lsv2_pt_0123456789", "LANGCHAIN_API_KEY": "lsv2_pt_0123456789"}
        more = {"LANGSMITH_TRACING": "", "LANGSMITH_ENDPOINT": service.url, "OTEL_EXPORTER_OTLP_ENDPOINT": service.url}
        with support.studio(tmp_path, environment=keys | more) as studio:
            await ran(studio, "self_instruct_cs", paste())
            assert "Documents go to: nobody (simulated models); traces: nowhere" in studio.log()
            studio.stop()
            assert studio.left_the_machine() == []
        # The server itself says how many runs it made, and nothing of what was in them.
        assert set(service.requests) <= {"POST /v1/metadata/submit"}
        assert not any(sentence in service.sent for sentence in DOCUMENTS[0].text.split("\n") if sentence)


async def interrupts(client: LangGraphClient, thread: str) -> dict[str, Any]:
    """Return the questions that a thread waits with, by the id of the interrupt."""
    state: Any = await client.threads.get_state(thread)
    return {one["id"]: one["value"] for task in state["tasks"] for one in task["interrupts"]}


async def test_each_role_takes_the_model_that_the_context_names(studio: Studio, models: Models) -> None:
    chosen = {
        "challenger_model": "first",
        "quality_verifier_model": "second",
        "verifier_model": "third",
        "weak_solver_model": "small",
        "strong_solver_model": "large",
    }
    thread, values = await ran(studio, "self_instruct_cs", paste(4), context=chosen)
    calls = rows(studio, "select distinct role, model from calls where thread_id like ?", f"server-{thread}/%")
    wanted = {name.removesuffix("_model"): PROFILES[profile] for name, profile in chosen.items()}
    assert {row["role"]: row["model"] for row in calls} == wanted
    assert len(calls) == len(wanted)
    assert values["models"]["challenger"] == "openai:judge-one"
    assert {request["key"] for request in models.requests()} == {"a-secret-key"}


async def test_a_prompt_of_ones_own_has_a_version_of_its_own(studio: Studio) -> None:
    text = DOMAINS["cs"].pack()["challenger"].text
    own = text.replace("# user\n", "# user\nThis was added in Studio.\n", 1)
    assert own != text
    versions = []
    for prompt in ("", text, text.replace("\n", "\r\n"), own):
        thread, _ = await ran(
            studio, "self_instruct_cs", paste(5), context={"challenger_prompt": prompt, "max_rounds": 1}
        )
        like = f"server-{thread}/%"
        of_round = rows(studio, "select distinct prompt_version as v from rounds where thread_id like ?", like)
        of_role = rows(
            studio,
            "select distinct prompt_version as v from calls where role = 'challenger' and thread_id like ?",
            like,
        )
        versions.append((of_round[0]["v"], of_role[0]["v"]))
    assert versions[0] == versions[1] == versions[2]
    assert versions[0][0] != versions[3][0]
    assert versions[0][1] != versions[3][1]


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"base_url": "http://127.0.0.1:9/v1"}, "context.base_url: not for a caller to choose"),
        ({"api_key_env": "HOME"}, "context.api_key_env: not for a caller to choose"),
        ({"extra_body": {"x": 1}}, "context.extra_body: not for a caller to choose"),
        ({"models": {"default": {"base_url": "http://x"}}}, "context.models: not for a caller to choose"),
        ({"challenger_model": "unknown"}, "use one of configured, first, second, third, small, large"),
        ({"challenger_model": {"base_url": "http://x"}}, "context.challenger_model"),
        ({"weak_mean": "below a half"}, "is no bound"),
        ({"gap": ">= 0.96", "strong_mean": "< 0.95"}, "no scores can pass"),
        ({"challenger_prompt": "no front matter"}, "context.challenger_prompt: a prompt starts with TOML front matter"),
    ],
)
async def test_what_a_caller_may_not_choose_is_refused(studio: Studio, context: dict[str, Any], said: str) -> None:
    before = rows(studio, "select count(*) as n from calls")
    refusal = await refusal_of(studio, "self_instruct_cs", paste(), context=context)
    assert refusal.startswith("Refused: ")
    assert said in refusal
    assert "\n" not in refusal
    assert rows(studio, "select count(*) as n from calls") == before


async def test_addresses_are_refused_from_the_old_field_too(studio: Studio) -> None:
    refusal = await refusal_of(studio, "self_instruct_cs", paste(), config={"configurable": {"base_url": "http://x"}})
    assert "context.base_url: not for a caller to choose" in refusal


@pytest.mark.parametrize("role", ["weak_solver", "strong_solver"])
async def test_a_solver_is_shown_nothing_more_by_any_prompt(studio: Studio, role: str) -> None:
    text = DOMAINS["cs"].pack()[role].text
    text = re.sub(r"placeholders = \[", 'placeholders = ["source", ', text, count=1) + "\n{{source}}\n"
    refusal = await refusal_of(studio, "self_instruct_cs", paste(), context={f"{role}_prompt": text})
    assert "{{source}}" in refusal


async def test_an_input_that_is_no_document_is_refused(studio: Studio) -> None:
    assert "text: empty: paste a document" in await refusal_of(studio, "self_instruct_cs", {"text": " \n"})
    assert "characters where the server takes 60,000" in await refusal_of(
        studio, "self_instruct_cs", {"text": "long " * 20_000}
    )


async def test_two_threads_on_one_document_share_no_call_and_a_repeated_input_pays_nothing(
    studio: Studio, client: LangGraphClient, models: Models
) -> None:
    first, one = await ran(studio, "self_instruct_cs", paste(1))
    second, other = await ran(studio, "self_instruct_cs", paste(1))
    keys = [
        {row["key"] for row in rows(studio, "select key from calls where thread_id like ?", f"server-{thread}/%")}
        for thread in (first, second)
    ]
    assert keys[0]
    assert not keys[0] & keys[1]
    assert [row["candidate"] for row in one["history"]] == [row["candidate"] for row in other["history"]]
    asked = len(models.requests())
    await client.runs.wait(first, "self_instruct_cs", input=paste(1))
    again: Any = (await client.threads.get_state(first))["values"]
    assert len(models.requests()) == asked
    assert again["example"] == one["example"]
    assert again["history"] == one["history"]


async def test_a_thread_that_takes_another_document_keeps_nothing_of_the_first(
    studio: Studio, client: LangGraphClient
) -> None:
    thread, _ = await ran(studio, "self_instruct_cs", paste(0))
    await client.runs.wait(thread, "self_instruct_cs", input=paste(2))
    values: Any = (await client.threads.get_state(thread))["values"]
    assert values["document"]["document_id"] == DOCUMENTS[2].document_id
    assert all(DOCUMENTS[2].document_id in row["round_id"] for row in values["rounds"])
    assert [row["n"] for row in values["rounds"]] == list(range(1, len(values["rounds"]) + 1))


@pytest.mark.parametrize("domain", ["cs", "legal", "science"])
async def test_a_dataset_takes_each_document_through_its_loop(studio: Studio, domain: str) -> None:
    texts = [paste(0), paste(1), {**paste(0), "name": "the-same.txt"}]
    _, values = await ran(studio, "dataset", {"texts": texts, "domain": domain}, context={"max_rounds": 2})
    assert [one["document_id"] for one in values["documents"]] == [one.document_id for one in DOCUMENTS[:2]]
    assert [one["document"] for one in values["results"]] == values["documents"]
    assert sum(values["counts"].values()) == len(values["results"]) == 2
    assert values["examples"] == [one["example"] for one in values["results"] if one["example"]]
    assert all(one["history"] and one["usage"] for one in values["results"])
    assert all(len(one["rounds"]) <= 2 for one in values["results"]), "the context did not reach the loop"
    assert "texts" not in values


async def test_a_dataset_of_too_many_documents_is_refused(studio: Studio) -> None:
    refusal = await refusal_of(studio, "dataset", {"texts": [paste(k) for k in range(5)]})
    assert "5 documents where the server takes 4" in refusal


async def test_a_search_for_better_prompts(studio: Studio, client: LangGraphClient) -> None:
    given: Any = {"train": [paste(0), paste(1)], "held_out": [paste(2), paste(3)], "iterations": 2}
    context: Any = {"minibatch": 1, "max_rounds": 1, "analyst_model": "first", "editor_model": "second"}
    thread, values = await ran(studio, "optimizer", given, context=context)
    assert [row["n"] for row in values["log"]] == [1, 2]
    assert values["prompts"].keys() == DOMAINS["cs"].pack().prompts.keys()
    assert (values["diff"] == "") == (values["winner"]["pack"] == values["baseline"]["pack"])
    assert (values["models"]["analyst"], values["models"]["editor"]) == ("openai:judge-one", "openai:judge-two")
    assert not {"train", "held_out", "test"} & values.keys()
    visited = {name for state in await client.threads.get_history(thread, limit=100) for name in state["next"]}
    assert visited >= {"intake", "select_parent", "evaluate_parent", "analyse", "edit", "check", "record", "result"}
    drawn: Any = await client.assistants.get_graph("optimizer")
    assert visited <= {node["id"] for node in drawn["nodes"]}
    search = studio.ledger.parent / "searches" / values["search"] / "run.db"
    with closing(sqlite3.connect(f"file:{search}?mode=ro", uri=True)) as db:
        (calls,) = db.execute("select count(*) from calls").fetchone()
    assert sum(row["calls"] for row in values["usage"]) == calls
    assert rows(studio, "select 1 from trials where evaluation like ?", "train-%") == []
    again: Any = await client.runs.wait(thread, "optimizer", input=given, context=context)
    assert [again[name] for name in ("winner", "log", "usage")] == [values[name] for name in ("winner", "log", "usage")]
    assert "Blocking call" not in studio.log()


@pytest.mark.parametrize("field", ["base_url", "api_key_env", "extra_body", "temperature"])
async def test_a_search_takes_no_address_from_a_caller(studio: Studio, field: str) -> None:
    given = {"train": [paste(0)], "held_out": [paste(1)]}
    refusal = await refusal_of(studio, "optimizer", given, context={field: "http://127.0.0.1:9/v1"})
    assert refusal.startswith(f"Refused: context.{field}: not for a caller to choose")
    both = await refusal_of(studio, "optimizer", {"train": [paste(0)], "held_out": [paste(0)]})
    assert "held_out[0]" in both
    assert "keep held-out documents out" in both


async def test_one_dead_document_does_not_end_the_others_and_the_same_input_goes_on(tmp_path: Path) -> None:
    with (
        support.models(tmp_path, refused_text="station 1 ") as models,
        support.studio(tmp_path / "studio", config(models.base_url), {"AUTODATA_TEST_KEY": "key"}) as studio,
    ):
        async with studio.client() as client:
            given: dict[str, Any] = {"texts": [paste(0), paste(1)]}
            thread, values = await ran(studio, "dataset", given)
            assert [one["status"] == "errored" for one in values["results"]] == [False, True]
            assert values["counts"]["errored"] == 1
            assert "refused the request" in values["results"][1]["status_reason"]
            alone = (await client.threads.create())["thread_id"]
            refusal: Any = await client.runs.wait(alone, "self_instruct_cs", input=paste(1), raise_error=False)
            assert refusal["__error__"]["error"] == "Errored"
            before = len(models.requests())
            await client.runs.wait(thread, "dataset", input=given)
            again: Any = (await client.threads.get_state(thread))["values"]
            assert again["results"][0] == values["results"][0]
            assert len(models.requests()) - before == 1, "only what is missing is asked for"
            epochs = rows(
                studio, "select distinct epoch from trials where status = 'errored' and evaluation like ?", f"%{thread}"
            )
            assert epochs == [{"epoch": 1}]


async def test_without_a_configuration_the_models_are_simulated_and_say_so(tmp_path: Path) -> None:
    """What `make studio` starts with: no key, no file, nothing but this machine."""
    with support.studio(tmp_path) as studio:
        _, values = await ran(studio, "self_instruct_cs", paste(), context={"verifier_model": "simulated-strong"})
        assert values["note"] == SIMULATED_NOTE
        assert set(values["models"].values()) == {"simulated:judge", "simulated:weak", "simulated:strong"}
        _, values = await ran(studio, "dataset", {"texts": [paste(0), paste(1)], "domain": "science"})
        assert values["note"] == SIMULATED_NOTE
        studio.stop()
        assert studio.left_the_machine() == []
        assert "Blocking call" not in studio.log()


def test_make_studio_starts_what_these_tests_start() -> None:
    printed = subprocess.run(
        [shutil.which("make") or "make", "-n", "studio"], cwd=support.ROOT, capture_output=True, text=True, check=True
    ).stdout
    (line,) = [" ".join(part.split()) for part in printed.replace("\\\n", " ").splitlines() if "langgraph dev" in part]
    environment = " ".join(f"{name}={value}" for name, value in support.ENVIRONMENT.items())
    host, address, *rest = support.FLAGS
    assert line == f"{environment} .venv/bin/langgraph dev {host} {address} --port 2024 {' '.join(rest)}"
