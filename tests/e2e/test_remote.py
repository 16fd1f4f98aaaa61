"""The loop over HTTP: `RemoteGraph` against a server of this machine, as docs/composition.md has it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.pregel.remote import RemoteGraph
from typing_extensions import TypedDict

from autodata.checkpoints.records import Example, Round
from autodata.nodes.events import AcceptedEvent, GraphEvent, parse_event
from tests.support.pages import DOCS, programs
from tests.support.studio import Studio, studio

PAPER = DOCS.parent / "examples" / "documents" / "harmonic-tide-prediction.md"
STUDIO = "http://127.0.0.1:2024"
[PROGRAM] = [program for program in programs(DOCS / "composition.md") if program.heading == "Remote"]


@pytest.fixture
async def remote(served: Studio) -> AsyncIterator[RemoteGraph]:
    async with served.client() as client:
        yield RemoteGraph("self_instruct_cs", client=client)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A server without a configuration: its models are simulated."""
    with studio(tmp_path_factory.mktemp("remote")) as running:
        yield running


def test_the_program_prints_what_the_page_says(served: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(PAPER, tmp_path / "paper.md")
    monkeypatch.chdir(tmp_path)
    assert STUDIO in PROGRAM.text
    assert replace(PROGRAM, text=PROGRAM.text.replace(STUDIO, served.url)).run() == PROGRAM.printed


async def test_a_remote_answer_needs_no_ledger_and_its_events_are_typed(remote: RemoteGraph) -> None:
    events: list[GraphEvent] = []
    answer: dict[str, Any] = {}
    part: Any
    async for part in remote.astream({"text": PAPER.read_text("utf-8")}, stream_mode=["custom", "values"]):
        if part.event == "custom":
            events.append(parse_event(part.data))
        else:
            answer = part.data
    rounds = [Round.model_validate(closed) for closed in answer["rounds"]]
    example = Example.model_validate(answer["example"])
    assert isinstance(events[-1], AcceptedEvent)
    assert events[-1].example == example
    assert (answer["status"], len(rounds), rounds[-1].candidate_id) == (
        "accepted",
        example.rounds,
        example.candidate_id,
    )


class Newsroom(TypedDict, total=False):
    article: str
    question: str


async def test_a_remote_loop_is_a_node_of_a_larger_graph(remote: RemoteGraph) -> None:
    async def ask(state: Newsroom) -> dict[str, Any]:
        answer: Any = await remote.ainvoke({"text": state["article"]})
        return {"question": answer["example"]["candidate"]["question"]}

    graph = StateGraph(Newsroom)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    end = await graph.compile().ainvoke({"article": PAPER.read_text("utf-8")})
    assert end["question"]


def test_nothing_else_was_asked_for(served: Studio) -> None:
    assert served.left_the_machine() == []
