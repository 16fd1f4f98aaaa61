"""The loop in code of one's own: the programs of docs/composition.md as they stand there, and what they promise."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import ConfigDict

from autodata import open_services
from autodata.checkpoints.errors import EndpointDown, InfrastructureError, UserError
from autodata.checkpoints.records import Example, Round
from autodata.domains.domain import DOMAINS
from autodata.graphs.cot_baseline import build_cot_baseline
from autodata.graphs.self_instruct import build_self_instruct
from autodata.nodes.state import Output
from autodata.runner.config import BaselineConfig, RunConfig
from tests.graph.support import DEFAULTS, SCHEMAS, Call, as_function
from tests.support.commands import parsed, printed
from tests.support.pages import DOCS, Program, programs
from tests.support.stages import first_quick

ROOT = DOCS.parent
PAPER = (ROOT / "examples" / "documents" / "harmonic-tide-prediction.md").read_text("utf-8")
SIMULATED: dict[str, Any] = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
LOCAL = [program for program in programs(DOCS / "composition.md") if "Remote" not in program.heading]


def test_the_programs_are_found() -> None:
    assert [program.heading for program in LOCAL] == [
        "From plain code",
        "Streaming",
        "As a subgraph",
        "As a tool",
        "As an agent",
    ]


@pytest.mark.parametrize("program", first_quick(*LOCAL, quick=2), ids=str)
def test_a_program_prints_what_the_page_says(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "paper.md").write_text(PAPER, "utf-8")
    monkeypatch.chdir(tmp_path)
    assert program.run() == program.printed
    assert list(tmp_path.iterdir()) == [tmp_path / "paper.md"], "nothing is left behind"


@pytest.mark.parametrize("baseline", first_quick(False, True, quick=2), ids=["loop", "baseline"])
@pytest.mark.parametrize("domain", sorted(DOMAINS))
async def test_a_graph_answers_with_the_example_and_its_history_and_no_references(domain: str, baseline: bool) -> None:
    config = RunConfig.model_validate({"domain": domain, "max_rounds": 3, "models": SIMULATED})
    async with open_services(BaselineConfig.of(config) if baseline else config) as context:
        build = build_cot_baseline if baseline else build_self_instruct
        graph = build(context.services.domain).compile()
        result = await graph.ainvoke(await context.take(PAPER, title="Cold chains"), context=context)
    assert set(result) == set(Output.__annotations__)
    rounds = [Round.model_validate(closed) for closed in result["rounds"]]
    assert [closed.n for closed in rounds] == list(range(1, len(rounds) + 1))
    assert rounds
    if result["status"] == "accepted":
        example = Example.model_validate(result["example"])
        assert example.candidate["question"].startswith(rounds[-1].question[:50])
    else:
        assert (result["status"], result["example"]) == ("rejected", None)


async def test_updates_stream_whole_though_the_output_is_less() -> None:
    graph = build_self_instruct().compile()
    async with open_services("cs", models=SIMULATED) as context:
        start = await context.take(PAPER)
        updates = [chunk async for chunk in graph.astream(start, context=context, stream_mode="updates")]
    changed = {node: set(update) for chunk in updates for node, update in chunk.items()}
    assert {"candidate", "candidate_id"} <= changed["challenger"]
    assert "attempts" in changed["weak_solver"]
    assert {"verdict", "attempts"} <= changed["verifier"]


@pytest.mark.slow
async def test_the_same_text_again_is_replayed() -> None:
    graph = build_self_instruct().compile()
    async with open_services("cs", models=SIMULATED) as context:
        first = await graph.ainvoke(await context.take(PAPER), context=context)
        paid = context.services.caller.budget.spent_calls
        assert await graph.ainvoke(await context.take(PAPER), context=context) == first
        assert context.services.caller.budget.spent_calls == paid > 0


async def test_a_folder_pays_once_and_is_a_run_folder(tmp_path: Path) -> None:
    graph = build_self_instruct().compile()
    results = []
    for _ in range(2):
        async with open_services("cs", models=SIMULATED, folder=tmp_path / "mine") as context:
            before = context.services.caller.budget.spent_calls
            results.append(await graph.ainvoke(await context.take(PAPER, name="paper.md"), context=context))
            paid = context.services.caller.budget.spent_calls - before
    assert results[0] == results[1]
    assert paid == 0
    status = await asyncio.to_thread(parsed, "status", tmp_path / "mine", "--json")
    assert (status["accepted"], status["pending"]) == (1, 0)
    assert "paper.md" in await asyncio.to_thread(printed, "show", tmp_path / "mine")
    with pytest.raises(UserError, match="max_rounds: 15 -> 2"):
        async with open_services(RunConfig(max_rounds=2), models=SIMULATED, folder=tmp_path / "mine"):
            pass


@pytest.mark.slow
async def test_a_document_that_was_accepted_in_a_folder_stays_so_when_it_is_taken_again(tmp_path: Path) -> None:
    async with open_services("cs", models=SIMULATED, folder=tmp_path) as context:
        graph = build_self_instruct().compile()
        await graph.ainvoke(await context.take(PAPER), context=context)
        await context.take(PAPER)
    assert (await asyncio.to_thread(parsed, "status", tmp_path, "--json"))["accepted"] == 1


async def test_a_saver_of_ones_own_keeps_the_place() -> None:
    graph = build_self_instruct().compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "mine"}}
    async with open_services("cs", models=SIMULATED) as context:
        start = await context.take(PAPER)
        await graph.ainvoke(start, config, context=context, interrupt_before=["verifier"])
        assert (await graph.aget_state(config)).next == ("verifier",)
        result = await graph.ainvoke(None, config, context=context)
    assert result["status"] == "accepted"


# Chat models of one's own


class Unreported(BaseChatModel):
    """A chat model of another maker: it answers by the role that the prompt's schema gives away, and knows no seed."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    name: str = "untold"
    seen: list[dict[str, Any]]

    @property
    def _llm_type(self) -> str:
        return self.name or ""

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError("calls are asynchronous")

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.seen.append({name: value for name, value in kwargs.items() if value is not None})
        text = "\n\n".join(message.text for message in messages)
        titles = {SCHEMAS["cs", role]: role for role in ("challenger", "quality_verifier", "verifier")}
        role = next(
            (titles[title] for title in re.findall(r'"title": ?"(\w+)"', text) if title in titles), self._llm_type
        )
        answer = as_function(DEFAULTS["cs"][role])(Call(role, 1, tuple((m.type, m.text) for m in messages), 0))
        message = AIMessage(answer if isinstance(answer, str) else json.dumps(answer))
        return ChatResult(generations=[ChatGeneration(message=message)])


async def test_chat_models_of_ones_own_play_the_roles() -> None:
    strong, weak = Unreported(name="strong_solver", seen=[]), Unreported(name="weak_solver", seen=[])
    async with open_services("cs", models={"default": strong, "weak_solver": weak}) as context:
        roles = context.services.caller.roles
        assert roles["challenger"].endpoint is roles["verifier"].endpoint
        assert roles["weak_solver"].endpoint is not roles["strong_solver"].endpoint
        result = await build_self_instruct().compile().ainvoke(await context.take(PAPER), context=context)
    assert result["status"] == "accepted"
    example = Example.model_validate(result["example"])
    assert example.models["weak_solver"] == "weak_solver"
    assert example.models["challenger"] == "strong_solver"
    assert strong.seen
    assert weak.seen
    assert not {"seed", "extra_body"} & {name for call in [*strong.seen, *weak.seen] for name in call}


@pytest.mark.parametrize(
    ("config", "models", "message"),
    [
        ("no-such", {}, "unknown domain 'no-such'"),
        ("cs", {}, "no model is named"),
        ("cs", {"default": {"model": "m", "colour": 1}}, "unknown key 'models.default.colour'"),
        ("cs", {"judge": {"model": "m"}}, "unknown key 'models.judge'"),
        ("cs", {"default": {"provider": "own", "model": "m"}}, "give it with models="),
        ("cs", {"default": {"model": "gpt", "api_key_env": "AUTODATA_NO_SUCH_KEY"}}, "AUTODATA_NO_SUCH_KEY is not set"),
    ],
)
async def test_what_cannot_work_is_refused_before_anything_is_spent(
    config: str, models: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        async with open_services(config, models=models):
            pass


async def test_a_role_that_names_a_model_of_a_chat_model_is_refused() -> None:
    models: dict[str, Any] = {"default": Unreported(seen=[]), "weak_solver": {"model": "weak"}}
    with pytest.raises(UserError, match=r"model 'weak' needs a provider: models\.default is a chat model"):
        async with open_services("cs", models=models):
            pass


async def test_an_empty_document_is_refused() -> None:
    async with open_services("cs", models=SIMULATED) as context:
        with pytest.raises(UserError, match=r"the document empty\.md is empty"):
            await context.take(" \n", name="empty.md")


async def test_a_dead_endpoint_is_raised_and_is_no_verdict() -> None:
    config = RunConfig.model_validate(
        {"simulated": {"faults": {"outage": True}}, "retries": {"base_seconds": 0, "max_attempts": 1}}
    )
    async with open_services(config, models=SIMULATED) as context:
        with pytest.raises((InfrastructureError, EndpointDown)):
            await build_self_instruct().compile().ainvoke(await context.take(PAPER), context=context)
