"""Threads of a server, in this process: what they began with holds, and an answer counts for one question."""

from __future__ import annotations

import copy
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from autodata.nodes.human_review import SENT_AT
from autodata.serving.errors import Refused
from autodata.serving.exports import BUILDERS
from autodata.serving.graph import compile_served
from autodata.serving.runtime import CONFIG_VARIABLE, FOLDER_VARIABLE, shut
from tests.support.runs import generated
from tests.support.stages import first_quick

DOCUMENTS = generated(4)
SEED = 1
"""Of the simulated models: the first documents reach a question in each of their first rounds."""
REJECT = {"decision": "reject", "reason": "It names no machine."}
APPROVE = {"decision": "approve"}


def paste(number: int = 0) -> dict[str, str]:
    one = DOCUMENTS[number]
    return {"text": one.text, "title": one.title, "name": one.name}


@cache
def compiled(graph: str) -> Any:
    """Return an export's compiled graph to put a checkpointer in: a copy, for to build one takes its time."""
    return compile_served(BUILDERS[graph]())


class Client:
    """A client of one served graph; each request is a run of its own, with the context that it brings or with none."""

    def __init__(self, folder: Path, graph: str = "self_instruct_cs") -> None:
        self.folder, self.saver = folder, InMemorySaver()
        self.graph: Any = copy.copy(compiled(graph))
        self.graph.checkpointer = self.saver

    def config(self, thread: str = "t", sent: int | None = None) -> Any:
        known: dict[str, Any] = {"thread_id": thread} | ({} if sent is None else {SENT_AT: sent})
        return {"configurable": known, "recursion_limit": 400}

    async def run(self, given: Any, thread: str = "t", *, sent: int | None = None, **context: Any) -> dict[str, Any]:
        await self.graph.ainvoke(given, self.config(thread, sent), context=context)
        return await self.values(thread)

    async def answer(
        self, answer: Any, thread: str = "t", *, sent: int | None = None, **context: Any
    ) -> dict[str, Any]:
        return await self.run(Command(resume=answer), thread, sent=sent, **context)

    async def values(self, thread: str = "t") -> dict[str, Any]:
        found: dict[str, Any] = (await self.graph.aget_state(self.config(thread))).values
        return found

    async def open(self, thread: str = "t") -> dict[str, dict[str, Any]]:
        """Return the questions that are open, by the id of the interrupt."""
        snapshot = await self.graph.aget_state(self.config(thread))
        return {one.id: one.value for one in snapshot.interrupts}

    async def question(self, thread: str = "t") -> dict[str, Any]:
        (question,) = (await self.open(thread)).values()
        return question

    def rows(self, sql: str) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "server" / "run.db")) as db:
            return db.execute(sql).fetchall()

    def decisions(self) -> list[str]:
        return [row[0] for row in self.rows("select decision from labels where decision is not null order by rowid")]


def configure(folder: Path, **more: Any) -> None:
    models = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
    serve = {"profiles": {"other": {"model": "judge-two"}}, "max_documents": 6}
    values = {"models": models, "serve": serve, "seed": SEED, **more}
    (folder / "server.toml").write_text(tomli_w.dumps(values), "utf-8")


@pytest.fixture
async def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "server.toml"))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "server"))
    configure(tmp_path)
    yield Client(tmp_path)
    await shut()


# What a thread began with


async def test_a_reject_stays_a_reject_without_the_context_repeated(client: Client) -> None:
    chosen: Any = {"review": "all", "max_rounds": 2, "acceptance": "meta", "verifier_model": "other", "seed": 2}
    begun = await client.run(paste(), **chosen)
    assert begun["models"]["verifier"] == "simulated:judge-two"
    asked = []
    for reason in ("No machine.", "No year."):
        asked.append(await client.question())
        values = await client.answer({"decision": "reject", "reason": reason})
    assert [one["round"] for one in asked] == [1, 2]
    assert (values["status"], values["status_reason"], values["example"]) == ("rejected", "max_rounds", None)
    assert client.decisions() == ["reject", "reject"]
    assert {row[0] for row in client.rows("select distinct model from calls where role = 'verifier'")} == {"judge-two"}
    assert {row[0] for row in client.rows("select distinct preset from verdicts")} == {"meta"}


async def test_another_context_changes_nothing_of_an_open_question(client: Client) -> None:
    none = {"review": "none"}
    contexts: list[dict[str, Any]] = [{}, none, {**none, "max_rounds": 1, "acceptance": "paper"}, {"seed": 3}]
    await client.run(paste(), review="all", max_rounds=15)
    for number, context in enumerate(contexts, 1):
        before = await client.question()
        await client.run(None, **context)  # goes on without an answer
        again = await client.question()
        assert again == before
        await client.answer({"decision": "reject", "reason": f"It names no machine, round {number}."}, **context)
        assert (await client.question())["round"] > before["round"]
        assert client.rows("select count(*) from examples") == [(0,)]


@pytest.mark.slow
async def test_the_servers_own_settings_are_pinned_too(client: Client) -> None:
    await client.run(paste(), review="all")
    await shut()
    configure(client.folder, max_rounds=1, acceptance="meta", seed=99, review_margin=0.4)
    await client.answer(REJECT)
    assert (await client.question())["round"] == 2, "one round was allowed by the new configuration"
    presets = client.rows("select distinct preset from verdicts")
    assert presets == [("paper",)]


async def test_the_same_input_without_a_context_goes_on_with_the_threads_own(client: Client) -> None:
    configure(client.folder, max_rounds=2)
    await client.run(paste(), review="all")
    before = await client.question()
    await client.run(paste())
    assert await client.question() == before
    await client.run(paste(1))
    assert not await client.open(), "another document is another piece of work"
    await client.run(paste(), review="none")
    assert not await client.open(), "a context that comes with the input is a new beginning"


@pytest.mark.slow
async def test_documents_of_a_dataset_keep_what_they_began_with(client: Client) -> None:
    served = Client(client.folder, "dataset")
    given = {"texts": [paste(0), paste(1)], "domain": "cs"}
    await served.run(given, review="all", max_rounds=2)
    for _ in range(2):
        waiting = await served.open()
        assert len(waiting) == 2
        values = await served.answer(dict.fromkeys(waiting, REJECT))
    assert values["counts"] == {"rejected": 2}
    assert values["examples"] == []


async def test_a_reference_to_nothing_is_refused(client: Client) -> None:
    await client.run(paste(), review="all")
    wrongs: list[Any] = ["0" * 24, 5, None, {"review": "none"}, []]
    for wrong in wrongs:
        await client.graph.aupdate_state(client.config(), {"pinned": wrong}, as_node="verifier")
        with pytest.raises(Refused, match="send its input again") as refused:
            await client.run(None)
        assert "\n" not in str(refused.value)


# Answers


async def test_the_same_answer_sent_twice_at_once_counts_once(client: Client) -> None:
    """As a server runs a double click: one after the other, each with the time at which it was sent."""
    await client.run(paste(), review="all")
    sent = (await client.values())["asked"]["at"] + 1
    await client.answer(REJECT, sent=sent)
    first = await client.question()
    assert first["round"] == 2
    await client.answer(REJECT, sent=sent)
    second = await client.question()
    assert "sent before this question was asked" in second["error"]
    assert {**second, "error": ""} == first
    assert client.decisions() == ["reject"]
    await client.answer(APPROVE, sent=(await client.values())["asked"]["at"] + 1)
    assert client.decisions() == ["reject", "approve"]


@pytest.mark.slow
@pytest.mark.parametrize("decision", first_quick(REJECT, APPROVE))
async def test_the_same_answer_sent_later_needs_to_be_meant(client: Client, decision: Mapping[str, str]) -> None:
    await client.run(paste(2), review="all", acceptance="paper", gap=">= 0.94")  # the gates reject: approve only labels
    await client.answer(decision)
    await client.answer(decision)
    again = await client.question()
    assert "once more" in again["error"]
    assert len(client.decisions()) == 1
    await client.answer({**decision, "label_id": again["label_id"]})
    assert (await client.question())["round"] > again["round"]
    await client.answer(decision)
    assert len(client.decisions()) == 2
    await client.answer(decision)
    assert len(client.decisions()) == 3, "sent again after it was asked about"


async def test_answers_that_name_their_question_count_for_it_alone(client: Client) -> None:
    await client.run(paste(), review="all")
    ((identity, question),) = (await client.open()).items()
    for answer in ({identity: REJECT}, {identity: REJECT}, {**REJECT, "label_id": question["label_id"]}):
        await client.answer(answer)
        assert client.decisions() == ["reject"]
        assert (await client.question())["round"] == 2
    ((identity, question),) = (await client.open()).items()
    await client.answer({identity: REJECT})
    assert client.decisions() == ["reject", "reject"], "by the interrupt's id, the same words count again"


async def test_a_wrong_answer_is_asked_for_again(client: Client) -> None:
    await client.run(paste(), review="all")
    before = await client.question()
    wrongs: list[Any] = [None, "yes", 5, True, [], {"decision": "nope"}, {"reason": "x"}, {"x": "secret"}]
    for wrong in ({}, *wrongs):  # an empty object is no answer at all, so it comes before there is an error to keep
        await client.answer(wrong)
        again = await client.question()
        assert {**again, "error": ""} == before
        assert (again["error"] != "") == (wrong != {}), wrong
        assert "secret" not in again["error"]
        assert client.decisions() == []
    await client.answer(REJECT)
    assert client.decisions() == ["reject"]


@pytest.mark.slow
async def test_one_answer_to_several_questions_is_asked_for_again(client: Client) -> None:
    served = Client(client.folder, "dataset")
    await served.run({"texts": [paste(0), paste(1)], "domain": "cs"}, review="all")
    for wrong in (APPROVE, None):
        await served.answer(wrong)
        waiting = await served.open()
        assert len(waiting) == 2
        assert all(one["error"] for one in waiting.values())
    assert served.decisions() == []


async def test_an_answer_to_no_question_answers_none(client: Client) -> None:
    await client.graph.ainvoke(paste(), client.config(), context={"review": "all"}, interrupt_before=["weak_solver"])
    await client.answer(APPROVE)
    assert (await client.question())["round"] == 1
    assert client.decisions() == []


async def test_the_question_says_what_approving_does(client: Client) -> None:
    await client.run(paste(2), review="all", gap=">= 0.94")
    question = await client.question()
    assert question["verdict"] == "reject"
    assert "Only a label" in question["answers"]["approve"]


# What comes in


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "input.text: Field required"),
        ({"text": 5}, "input.text: Input should be a valid string"),
        ({"text": None}, "input.text"),
        ({"text": "x", "base_url": "http://secret"}, "input.base_url: unknown key"),
        ({"text": "x", "sk-secret": 1}, "input.?: unknown key"),
        ({"text": "x", "title": ["secret"]}, "input.title"),
        (["secret"], "input: a JSON object is needed"),
        ("secret", "input: a JSON object is needed"),
    ],
)
async def test_an_input_that_is_none_is_refused_in_one_line(client: Client, given: Any, said: str) -> None:
    with pytest.raises(Refused) as refused:
        await client.run(given)
    assert str(refused.value).startswith(said)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_a_text_too_short_to_ask_about_is_refused(client: Client) -> None:
    for text in ("Hi.", "A mast.", "- - - - - - - - - - - - - - - - - - - - - -", "?" * 2000):
        with pytest.raises(Refused, match="too short to ask about") as refused:
            await client.run({"text": text})
        assert text not in str(refused.value)
    assert client.rows("select count(*) from calls") == [(0,)]


# Long texts


def long_paste() -> dict[str, str]:
    """A text of two chapters, each as long as a document."""
    chapters = "\n\n".join(f"# Chapter {n}\n\n{DOCUMENTS[n].text}" for n in (0, 1))
    return {"text": chapters, "title": "Both", "name": "both.md"}


async def test_a_long_text_among_many_is_taken_in_parts_and_said_to_be(client: Client) -> None:
    many = Client(client.folder, "dataset")
    most = max(len(one.text) for one in DOCUMENTS[:2]) + 100
    configure(client.folder, documents={"max_chars": most}, max_rounds=1)
    found = await many.run({"texts": [long_paste(), paste(2)], "domain": "cs"})
    assert [one["name"] for one in found["documents"]] == ["both.md#1", "both.md#2", DOCUMENTS[2].name]
    assert "both.md is long: taken in 2 parts." in found["note"]
    assert sum(found["counts"].values()) == 3
    assert found["note"].startswith("SIMULATED MODELS")


@pytest.mark.parametrize(
    ("documents", "advice"),
    [
        ({}, "shorten it, or send it to the graph 'dataset', which takes long documents in parts, or set"),
        ({"chunk": False}, "shorten or split it, or set documents.max_chars"),
    ],
)
async def test_a_graph_of_one_document_says_where_a_long_text_goes(
    client: Client, documents: dict[str, Any], advice: str
) -> None:
    configure(client.folder, documents={"max_chars": 900, **documents})
    with pytest.raises(Refused, match=advice):
        await client.run(long_paste())
    question = Client(client.folder, "hard_question")
    found = await question.run({**long_paste(), "domain": "cs"})
    assert found["status"] == "refused"
    assert advice in found["why"]


async def test_more_parts_than_the_server_takes_documents_are_refused(client: Client) -> None:
    many = Client(client.folder, "dataset")
    configure(client.folder, documents={"max_chars": 900}, serve={"max_documents": 1})
    with pytest.raises(Refused, match=r"texts: 1 documents in \d+ parts where the server takes 1"):
        await many.run({"texts": [long_paste()], "domain": "cs"})
    configure(client.folder, documents={"max_chars": 900, "chunk": False})
    await shut()
    with pytest.raises(Refused, match="characters where the server takes 900"):
        await many.run({"texts": [long_paste()], "domain": "cs"})
