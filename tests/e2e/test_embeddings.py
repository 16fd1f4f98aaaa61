"""`autodata analyse --embeddings` over real HTTP: what is sent, paid for once, bounded, and what faults mean."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.errors import BudgetSpent, CallFailed, EndpointDown, UserError
from autodata.checkpoints.vectors import vector_file
from autodata.jobs.embeddings import Asked, Vectors, asked_model, vectors_of
from autodata.models.config import BudgetConfig, RetryConfig
from tests.support.commands import invoke
from tests.support.embeddings import EmbeddingsServer
from tests.support.runs import generated

pytestmark = pytest.mark.enable_socket

TEXTS = [f"Why does the harbour of station {n} fall dry?" for n in range(70)]
QUICK = RetryConfig(base_seconds=0, max_attempts=3)


def length_and_vowels(text: str) -> list[float]:
    return [float(len(text)), float(sum(text.count(one) for one in "aeiou")), 1.0]


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingsServer]:
    async with EmbeddingsServer(length_and_vowels) as running:
        yield running


def asked(server: EmbeddingsServer, budget: BudgetConfig | None = None, **changes: Any) -> Asked:
    made = asked_model("small", server.base_url, budget=budget, **changes)
    return Asked(made.settings, made.budget, QUICK)


async def found(run: Path, server: EmbeddingsServer, texts: list[str] = TEXTS, **changes: Any) -> tuple[Vectors, str]:
    said: list[str] = []
    vectors = await vectors_of(run, texts, asked(server, **changes), said.append)
    return vectors, "\n".join(said)


async def test_each_text_is_sent_once_and_never_again(tmp_path: Path, server: EmbeddingsServer) -> None:
    first, said = await found(tmp_path, server, [*TEXTS, TEXTS[0]])
    assert sorted(server.texts) == sorted(TEXTS)
    assert {len(body["input"]) for _, body in server.requests} == {32, 6}
    assert server.requests[0][1]["model"] == "small"
    assert said.startswith("Questions go to: 127.0.0.1:")
    assert "(this machine): 70 questions, " in said
    assert "in 3 requests, for vectors of small" in said
    assert (first.spent.requests, first.spent.texts) == (3, 70)
    assert first.spent.tokens == first.spent.charged == sum(len(text.split()) for text in TEXTS)
    again, said = await found(tmp_path, server)
    assert again.vectors == first.vectors
    assert said == "Questions go to nobody: all have vectors of small already"
    more, said = await found(tmp_path, server, [*TEXTS, "Another?"])
    assert "1 questions" in said
    assert "70 have theirs already" in said
    assert server.texts[70:] == ["Another?"]
    assert more.spent.requests == 4


async def test_keys_and_account_names_go_where_they_are_meant_to(
    tmp_path: Path, server: EmbeddingsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "MINE"):
        monkeypatch.setenv(name, f"value-of-{name}")
    await found(tmp_path, server)
    await found(tmp_path, server, ["With a key?"], key_env="MINE")
    sent = [json.dumps(headers) for headers, _ in server.requests]
    assert "value-of" not in "".join(sent[:-1])
    assert "Bearer value-of-MINE" in sent[-1]
    assert "value-of-OPENAI" not in sent[-1]
    monkeypatch.delenv("MINE")
    with pytest.raises(UserError, match="MINE is not set"):
        await found(tmp_path, server, ["Without?"], key_env="MINE")
    assert "Without?" not in server.texts


async def test_a_fault_that_passes_is_tried_again(tmp_path: Path, server: EmbeddingsServer) -> None:
    server.failures = [500, 429]
    await found(tmp_path, server)
    assert len(server.requests) == 5
    server.failures = [503] * 9
    with pytest.raises(CallFailed, match="no vectors in 3 attempts"):
        await found(tmp_path, server, ["Once more?"])


async def test_what_came_before_a_fault_is_kept(tmp_path: Path, server: EmbeddingsServer) -> None:
    def down_after_two(text: str) -> list[float]:
        server.failures = [401] * 9 if len(server.requests) > 1 else []
        return length_and_vowels(text)

    server.vector = down_after_two
    many = [f"{text} {n}" for n in range(4) for text in TEXTS]
    with pytest.raises(EndpointDown):
        await found(tmp_path, server, many)
    with vector_file(tmp_path) as kept:
        before = kept.spent().texts
    assert 0 < before < len(many)
    server.vector, server.failures = length_and_vowels, []
    server.requests.clear()
    await found(tmp_path, server, many)
    assert len(server.texts) == len(many) - before


@pytest.mark.parametrize("usage", [True, False])
async def test_nothing_is_sent_that_the_budget_could_not_pay_for(
    usage: bool, tmp_path: Path, server: EmbeddingsServer
) -> None:
    server.usage = usage
    with pytest.raises(BudgetSpent, match="--max-tokens 700"):
        await found(tmp_path, server, budget=BudgetConfig(max_tokens=700))
    with vector_file(tmp_path) as kept:
        spent = kept.spent()
    assert 0 < spent.charged <= 700
    assert spent.requests == len(server.requests)
    assert (spent.tokens is not None) is usage
    with pytest.raises(BudgetSpent, match="--max-usd"):
        await found(tmp_path, server, ["Dear?"], price=1e6, budget=BudgetConfig(max_usd=0.5))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda reply: reply["data"].pop(),
        lambda reply: reply["data"][0].update(embedding=[0.0, 0.0, 0.0]),
        lambda reply: reply["data"][0].update(embedding=[1.0]),
        lambda reply: reply["data"][0].update(embedding=[float("inf"), 1.0, 1.0]),
        lambda reply: reply["data"][0].update(index=7),
        lambda reply: reply.pop("data"),
    ],
    ids=["one lacks", "no length", "shorter", "infinite", "a strange index", "no data"],
)
async def test_a_reply_that_is_no_vectors_is_never_kept(spoil: Any, tmp_path: Path, server: EmbeddingsServer) -> None:
    server.spoilt = spoil
    with pytest.raises(CallFailed, match="unreadable response"):
        await found(tmp_path, server, TEXTS[:5])
    with vector_file(tmp_path) as kept:
        assert kept.spent().texts == 0


def test_the_command_says_semantic_duplicates_and_names_clusters(tmp_path: Path) -> None:
    run = tmp_path / "run"
    lines = [json.dumps({"title": one.title, "text": one.text}) for one in generated(12)]
    (tmp_path / "documents.jsonl").write_text("\n".join(lines))
    (tmp_path / "autodata.toml").write_text('domain = "cs"\nmodels.default = {provider = "simulated"}\n')
    made = invoke(
        "run", "--config", tmp_path / "autodata.toml", "--documents", tmp_path / "documents.jsonl", "--out", run
    )
    assert made.exit_code == 0, made.output

    async def serve() -> tuple[Any, list[str]]:
        async with EmbeddingsServer(lambda text: [1.0, 0.01 * len(text)]) as server:
            options = ("--embeddings", "small", "--embeddings-url", server.base_url, "--json")
            return await asyncio.to_thread(invoke, "analyse", run, *options), server.texts

    before = json.loads(invoke("analyse", run, "--json").stdout)
    assert before["doubles"]["semantic"] is None
    assert before["coverage"]["clusters"]["by"] == "words"
    result, texts = asyncio.run(serve())
    assert result.exit_code == 0, result.output
    assert "Questions go to: 127.0.0.1:" in result.stderr
    analysis = json.loads(result.stdout)
    assert len(texts) == analysis["examples"] > 2
    semantic = analysis["doubles"]["semantic"]
    assert (semantic["model"], semantic["threshold"]) == ("small", 0.9)
    assert semantic["beyond_first"] == analysis["examples"] - 1  # all point the same way
    assert analysis["coverage"]["clusters"]["by"] == "small"
    # What is kept is read again, by the report as well, and the server is gone.
    assert json.loads(invoke("analyse", run, "--json").stdout)["doubles"]["semantic"] == semantic
    assert invoke("report", run, "--out", tmp_path / "report.html").exit_code == 0
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "as the embedding model <bdi>small</bdi> has it" in page
