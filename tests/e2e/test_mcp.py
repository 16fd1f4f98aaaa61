"""What an agent gets: the MCP endpoint of `langgraph dev`, and a server started where only langgraph.json lies."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from autodata.runner.brief import MOST_BYTES, SIMULATED_NOTE
from autodata.serving.exports import EXPORTS
from tests.support import studio as support
from tests.support.runs import generated
from tests.support.studio import Studio

pytestmark = pytest.mark.enable_socket

TEXT = generated(1)[0].text


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A server in a folder that holds a copy of langgraph.json and nothing else, as after `pip install`."""
    folder = tmp_path_factory.mktemp("empty")
    graphs = shutil.copy(support.ROOT / "langgraph.json", folder / "langgraph.json")
    with support.studio(folder, graphs=Path(graphs)) as running:
        yield running
        assert running.left_the_machine() == []


async def asked(studio: Studio, method: str, **params: Any) -> dict[str, Any]:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    async with httpx.AsyncClient(trust_env=False, timeout=None) as client:
        answer = await client.post(f"{studio.url}/mcp", json=body, headers={"Accept": "application/json"})
    assert answer.status_code == 200
    result: dict[str, Any] = answer.json()["result"]
    return result


async def called(studio: Studio, arguments: dict[str, Any], **params: Any) -> tuple[bool, str]:
    result = await asked(studio, "tools/call", name="hard_question", arguments=arguments, **params)
    (content,) = result["content"]
    return result.get("isError", False), content["text"]


async def test_a_copy_of_langgraph_json_in_an_empty_folder_serves_every_graph(studio: Studio) -> None:
    async with studio.client() as client:
        assert sorted(one["graph_id"] for one in await client.assistants.search(limit=100)) == sorted(EXPORTS)


async def test_the_tool_is_listed_with_its_arguments(studio: Studio) -> None:
    (tool,) = [one for one in (await asked(studio, "tools/list"))["tools"] if one["name"] == "hard_question"]
    assert tool["inputSchema"]["properties"].keys() == {"text", "title", "name", "domain"}
    assert tool["inputSchema"]["required"] == ["text"]
    assert "4 KB" in tool["description"]


@pytest.mark.parametrize("domain", ["cs", "legal", "science"])
async def test_a_call_is_answered_in_brief(studio: Studio, domain: str) -> None:
    wrong, text = await called(studio, {"text": TEXT, "domain": domain}, context={"max_rounds": 3})
    assert not wrong, studio.log()[-2000:]
    assert len(text.encode()) <= MOST_BYTES
    found = ast.literal_eval(text)
    assert found.keys() == {"status", "why", "scores", "example", "rounds", "shortened", "note"}
    assert found["status"] in {"accepted", "rejected"}
    assert (found["example"] is not None) == (found["status"] == "accepted")
    assert found["why"]
    assert 1 <= found["rounds"] <= 3
    assert found["note"] == SIMULATED_NOTE
    if found["example"]:
        assert found["example"]["question"]
        assert found["scores"]["strong_mean"] > found["scores"]["weak_mean"]


async def test_an_assistant_is_a_tool_with_a_context_of_its_own(studio: Studio) -> None:
    never: Any = {"weak_mean": "< 0.01", "max_rounds": 1}
    async with studio.client() as client:
        await client.assistants.create("hard_question", context=never, name="Hardest question")
    listed = {one["name"] for one in (await asked(studio, "tools/list"))["tools"]}
    assert listed == {*EXPORTS, "Hardest_question"}
    result = await asked(studio, "tools/call", name="Hardest_question", arguments={"text": TEXT})
    found = ast.literal_eval(result["content"][0]["text"])
    assert (found["status"], found["rounds"], found["example"]) == ("rejected", 1, None)
    assert "weak mean" in found["why"] or found["scores"]["weak_mean"] is None


async def test_a_document_that_cannot_be_asked_about_is_refused_in_words(studio: Studio) -> None:
    wrong, text = await called(studio, {"text": "Too short."})
    assert not wrong
    found = ast.literal_eval(text)
    assert found["status"] == "refused"
    assert found["why"] == "text: too short to ask about: 8 letters and digits, 20 are needed"
    assert await called(studio, {"text": TEXT, "colour": 1}) == (True, "Refused")
    assert await called(studio, {"text": TEXT}, context={"review": "all"}) == (True, "Refused")


async def test_a_refusal_leaves_nothing_of_the_document_before_on_its_thread(studio: Studio) -> None:
    async with studio.client() as client:
        thread = (await client.threads.create())["thread_id"]
        given: Any = {"text": TEXT}
        first: Any = await client.runs.wait(thread, "hard_question", input=given, context={"max_rounds": 12})
        refused: Any = await client.runs.wait(thread, "hard_question", input={"text": "No."})
        again: Any = await client.runs.wait(thread, "hard_question", input=given, context={"max_rounds": 12})
    assert refused["status"] == "refused"
    assert refused["example"] is None
    assert refused["rounds"] == 0
    assert refused["scores"] == {}
    assert again == first
    assert first["status"] == "accepted"


async def test_messages_are_streamed_while_their_node_is_at_work(studio: Studio) -> None:
    """`messages-tuple`: what a model says, with the node that called it, before that node has ended."""
    said, ended = set[str](), set[str]()
    modes: Any = ["messages-tuple", "updates"]
    async with studio.client() as client:
        async for part in client.runs.stream(
            None, "self_instruct_cs", input={"text": TEXT}, context={"max_rounds": 1}, stream_mode=modes
        ):
            data: Any = part.data
            if part.event == "messages":
                piece, about = data
                assert piece["content"]
                assert about["langgraph_node"] not in ended
                said.add(about["langgraph_node"])
            elif part.event == "updates":
                ended |= data.keys()
    assert {"challenger", "quality_verifier"} <= said <= ended
