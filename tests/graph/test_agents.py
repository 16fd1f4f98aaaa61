"""The loop for agents: a tool that an agent calls, and an agent that a supervisor hands a chat to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt import ToolNode
from langgraph_supervisor import create_supervisor

from autodata.checkpoints.errors import EndpointDown, InfrastructureError, UserError
from autodata.runner.agents import as_tool, build_chat
from autodata.runner.brief import MOST_BYTES, SIMULATED_NOTE, as_text, brief, without
from autodata.runner.config import RunConfig
from tests.graph.test_composition import Unreported
from tests.support.commands import parsed
from tests.support.pages import DOCS
from tests.support.stages import first_quick

PAPER = (DOCS.parent / "examples" / "documents" / "mrna-vaccine-cold-chain.md").read_text("utf-8")
OTHER = PAPER.replace("a", "e")
SIMULATED: dict[str, Any] = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}


class Agent(GenericFakeChatModel):
    """A model that can be given tools, and says what it was made to say."""

    def bind_tools(self, tools: Sequence[Any], **options: Any) -> Any:
        assert tools
        return self


def saying(*messages: AIMessage) -> Agent:
    return Agent(messages=iter(messages))


def call(name: str, identity: str = "1", **args: Any) -> ToolCall:
    return ToolCall(name=name, args=args, id=identity, type="tool_call")


def answer_of(message: BaseMessage) -> dict[str, Any]:
    assert len(message.text.encode()) <= MOST_BYTES
    found: dict[str, Any] = json.loads(message.text)
    return found


def answered(found: dict[str, Any]) -> None:
    assert found["status"] == "accepted"
    assert found["example"]["question"]
    assert found["scores"]["gap"] == pytest.approx(
        found["scores"]["strong_mean"] - found["scores"]["weak_mean"], abs=2e-4
    )
    assert "strong mean" in found["why"]
    assert found["note"] == SIMULATED_NOTE


@pytest.mark.parametrize("sync", first_quick(False, True), ids=["async", "sync"])
async def test_an_agent_with_a_saver_of_its_own_calls_the_tool(sync: bool) -> None:
    tool = as_tool("cs", models=SIMULATED)
    model = saying(AIMessage("", tool_calls=[call(tool.name, document=PAPER)]), AIMessage("Here it is."))
    agent: Any = create_agent(model, [tool], checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "mine"}, "recursion_limit": 9}
    begin = {"messages": [HumanMessage("A hard question, please.")]}
    end = await (asyncio.to_thread(agent.invoke, begin, config) if sync else agent.ainvoke(begin, config))
    answer = end["messages"][-2]
    answered(answer_of(answer))
    assert answer.artifact["example"]["candidate"]["question"].startswith(answer_of(answer)["example"]["question"][:20])
    assert end["messages"][-1].text == "Here it is."
    assert next(state.next for state in agent.get_state_history(config)) == ()
    assert all(not one.config["configurable"]["checkpoint_ns"] for one in agent.checkpointer.list(config))


async def test_the_agent_hears_what_cannot_be_asked_about_and_it_costs_nothing(tmp_path: Path) -> None:
    node = ToolNode([tool := as_tool("cs", models=SIMULATED, folder=tmp_path / "mine")])
    wishes = [call(tool.name, "1", document="Too short."), call(tool.name, "2", document=PAPER * 40)]
    agent = create_agent(saying(AIMessage("", tool_calls=wishes), AIMessage("Sorry.")), [tool])
    end = await agent.ainvoke({"messages": [HumanMessage("Go.")]})
    refusals = [message for message in end["messages"] if isinstance(message, ToolMessage)]
    assert [message.status for message in refusals] == ["error", "error"]
    assert "document: too short to ask about: 8 letters and digits" in refusals[0].text
    assert "where the configuration takes 60,000: give one part of it at a time" in refusals[1].text
    assert node.tools_by_name[tool.name].args.keys() == {"document", "title"}
    assert not (tmp_path / "mine").exists()


@pytest.mark.slow
async def test_the_same_document_in_a_folder_is_paid_once_even_side_by_side(tmp_path: Path) -> None:
    tool = as_tool("cs", models=SIMULATED, folder=tmp_path / "mine")
    wishes = [call(tool.name, str(n), document=text) for n, text in enumerate((PAPER, PAPER, OTHER))]
    first, second, other = await asyncio.gather(*(tool.ainvoke(wish) for wish in wishes))
    assert first.text == second.text != other.text
    spent = (await asyncio.to_thread(parsed, "status", tmp_path / "mine", "--json"))["calls"]
    again = await asyncio.to_thread(tool.invoke, wishes[0])
    assert again.text == first.text
    status = await asyncio.to_thread(parsed, "status", tmp_path / "mine", "--json")
    assert status["calls"] == spent
    alone = as_tool("cs", models=SIMULATED, folder=tmp_path / "alone")
    await alone.ainvoke(wishes[0])
    await alone.ainvoke(wishes[2])
    assert (await asyncio.to_thread(parsed, "status", tmp_path / "alone", "--json"))["calls"] == spent


@pytest.mark.parametrize("kept", [False, True], ids=["memory", "folder"])
async def test_a_dead_endpoint_is_raised_out_of_the_agent(kept: bool, tmp_path: Path) -> None:
    faults: dict[str, Any] = {"faults": {"outage": True}}
    config = RunConfig.model_validate({"simulated": faults, "retries": {"base_seconds": 0, "max_attempts": 1}})
    tool = as_tool(config, models=SIMULATED, folder=tmp_path / "mine" if kept else None)
    wish = call(tool.name, document=PAPER)
    agent = create_agent(saying(AIMessage("", tool_calls=[wish])), [tool])
    with pytest.raises((InfrastructureError, EndpointDown)):
        await agent.ainvoke({"messages": [HumanMessage("Go.")]})


class Rambling(Unreported):
    """A model whose replies cannot be read while it rambles."""

    rambles: bool = True

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        found = await super()._agenerate(messages, *args, **kwargs)
        if self.rambles:
            found.generations[0].message.content = "I would rather not say."
        return found


@pytest.mark.slow
async def test_a_document_that_errored_is_taken_up_again_by_the_next_call(tmp_path: Path) -> None:
    """Replies that could not be read are in the folder's journal: asked again, they must not be replayed for ever."""
    strong, weak = Rambling(name="strong_solver", seen=[]), Unreported(name="weak_solver", seen=[])
    config = RunConfig.model_validate({"retries": {"base_seconds": 0}})
    tool = as_tool(config, models={"default": strong, "weak_solver": weak}, folder=tmp_path / "mine")
    wish = call(tool.name, document=PAPER)
    for _ in range(2):
        with pytest.raises(InfrastructureError):
            await tool.ainvoke(wish)
    assert (await asyncio.to_thread(parsed, "status", tmp_path / "mine", "--json"))["errored"] == 1
    strong.rambles = False
    assert answer_of(await tool.ainvoke(wish))["status"] == "accepted"
    asked = len(strong.seen)
    assert answer_of(await tool.ainvoke(wish))["status"] == "accepted"
    assert len(strong.seen) == asked


@pytest.mark.parametrize(
    ("domain", "models", "message"),
    [
        ("no-such", SIMULATED, "unknown domain 'no-such'"),
        ("cs", {}, "no model is named"),
        ("cs", {"default": {"model": "gpt", "api_key_env": "AUTODATA_NO_SUCH_KEY"}}, "AUTODATA_NO_SUCH_KEY is not set"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_built(domain: str, models: dict[str, Any], message: str) -> None:
    for build in (as_tool, build_chat):
        with pytest.raises(UserError, match=message):
            build(domain, models=models)


# langgraph-supervisor builds its own agent in the way that LangGraph has deprecated.
@pytest.mark.filterwarnings("ignore:create_react_agent has been moved:DeprecationWarning")
@pytest.mark.parametrize("sync", first_quick(False, True), ids=["async", "sync"])
@pytest.mark.parametrize("mode", ["last_message", "full_history"])
async def test_a_supervisor_hands_a_chat_over(sync: bool, mode: Any) -> None:
    chat = build_chat("cs", models=SIMULATED, name="question_writer")
    model = saying(AIMessage("", tool_calls=[call("transfer_to_question_writer")]), AIMessage("There you are."))
    supervisor = create_supervisor([chat], model=model, output_mode=mode).compile(checkpointer=InMemorySaver())
    begin = {"messages": [HumanMessage(PAPER)]}
    config: Any = {"configurable": {"thread_id": "mine"}}
    end = await (asyncio.to_thread(supervisor.invoke, begin, config) if sync else supervisor.ainvoke(begin, config))
    (answer,) = [m for m in end["messages"] if m.name == "question_writer" and m.text.startswith("{")]
    answered(answer_of(answer))
    assert end["messages"][-1].text == "There you are."


@pytest.mark.slow
@pytest.mark.parametrize("as_subagent", [False, True], ids=["tool", "subagent"])
async def test_a_deep_agent_calls_the_tool_or_hands_a_chat_over(as_subagent: bool) -> None:
    from deepagents import CompiledSubAgent, create_deep_agent  # it loads every provider that it knows: seconds

    if as_subagent:
        chat = build_chat("cs", models=SIMULATED, name="question_writer")
        hand = CompiledSubAgent(name="question_writer", description="Writes one hard question.", runnable=chat)
        wish = call("task", description=PAPER, subagent_type="question_writer")
        model = saying(AIMessage("", tool_calls=[wish]), AIMessage("There you are."))
        agent: Any = create_deep_agent(model, subagents=[hand])
    else:
        tool = as_tool("cs", models=SIMULATED)
        model = saying(AIMessage("", tool_calls=[call(tool.name, document=PAPER)]), AIMessage("There you are."))
        agent = create_deep_agent(model, [tool])
    end = await agent.ainvoke({"messages": [HumanMessage("A hard question, please.")]})
    (answer,) = [message for message in end["messages"] if isinstance(message, ToolMessage)]
    answered(answer_of(answer))
    assert end["messages"][-1].text == "There you are."


async def test_a_chat_without_a_document_says_what_is_missing() -> None:
    chat = build_chat("cs", models=SIMULATED)
    assert chat.name == "hard_question_cs"
    cases: dict[str, list[BaseMessage]] = {
        "no human message": [AIMessage("Hello.")],
        "too short to ask about": [HumanMessage(PAPER), AIMessage("And now?"), HumanMessage("Thanks!")],
        "empty": [HumanMessage("")],
    }
    for said, messages in cases.items():
        end = await chat.ainvoke({"messages": messages})
        assert end["output"] is None
        assert len(end["messages"]) == len(messages) + 1
        found = answer_of(end["messages"][-1])
        assert found["status"] == "refused"
        assert said in found["why"]
    assert not any("human_review" in name for name in chat.get_graph(xray=True).nodes)


@pytest.mark.parametrize("domain", first_quick("facts", "legal", "science"))
async def test_a_rejected_or_accepted_document_of_every_domain_is_brief(domain: str) -> None:
    config = RunConfig.model_validate({"domain": domain, "max_rounds": 3, "models": SIMULATED})
    end = await build_chat(config).ainvoke({"messages": [HumanMessage(PAPER)]})
    found = answer_of(end["messages"][-1])
    assert found["status"] == end["output"]["status"]
    assert (found["example"] is not None) == (found["status"] == "accepted")
    assert found["why"]
    assert found["rounds"] == len(end["output"]["rounds"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
LONG = st.tuples(st.text(min_size=1, max_size=4), st.integers(1, 1_500)).map(lambda pair: pair[0] * pair[1])


@pytest.mark.slow
@given(
    candidate=st.dictionaries(st.text(max_size=20), JSON | LONG | st.lists(LONG, max_size=8), max_size=5),
    reason=LONG,
    scores=st.lists(st.fractions(0, 1).map(str), max_size=60),
)
def test_a_brief_is_small_and_says_what_it_left_out(candidate: dict[str, Any], reason: str, scores: list[str]) -> None:
    example = {"candidate": candidate, "passage": reason, "weak_scores": scores, "preset": reason, "checks": []}
    for found in (
        brief({"status": "accepted", "example": example, "rounds": []}, note=SIMULATED_NOTE),
        brief({"status": "rejected", "status_reason": reason, "rounds": [{"reason": reason[::-1]}]}),
        without("refused", reason),
    ):
        assert len(as_text(found).encode()) <= MOST_BYTES
        assert len(repr(found).encode("utf-8", "backslashreplace")) <= MOST_BYTES
        assert json.loads(as_text(found))["status"] == found["status"]
    whole = brief({"status": "accepted", "example": example, "rounds": []})
    if not whole["shortened"]:
        passage = {"passage": reason} if reason else {}
        assert whole["example"] == {**candidate, **passage}
