"""Semantic duplicates by real models: an embedding model finds paraphrases, a chat model is warned of."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from autodata.corpus.analysis.likeness import SIMILAR
from autodata.corpus.vectors import from_bytes
from autodata.jobs.embeddings import asked_model, vectors_of
from tests.support.commands import invoke
from tests.support.minilm import minilm
from tests.support.runs import generated

pytestmark = [pytest.mark.enable_socket, pytest.mark.xdist_group("embedding model")]

ASKED = [
    ("Why does the harbour of Gull Point fall dry at low tide?", "What makes Gull Point harbour run dry at low tide?"),
    (
        "How does a write-ahead log keep a database consistent after a crash?",
        "After a crash, in what way does write-ahead logging keep the database consistent?",
    ),
    (
        "Which temperature must an mRNA vaccine be stored at?",
        "At what temperature does an mRNA vaccine have to be kept?",
    ),
    ("How does TCP react to the loss of a packet?", "How does TCP react when a packet is lost?"),
    ("Why does concrete need water while it cures?", "Why does concrete need water as it cures?"),
]
"""Questions, each with a paraphrase."""
QUESTIONS = [question for pair in ASKED for question in pair]


async def test_an_embedding_model_tells_paraphrases_from_other_questions(tmp_path: Path) -> None:
    said: list[str] = []
    found = await vectors_of(tmp_path, QUESTIONS, asked_model(str(minilm()), None), said.append)
    (line,) = said
    assert line.startswith("Questions go to: a model server of its own (this machine): 10 questions")
    matrix = from_bytes([found.vectors[question] for question in QUESTIONS])
    assert matrix.shape == (10, 384)
    for one, other in itertools.combinations(range(10), 2):
        cosine = float(matrix[one] @ matrix[other])
        is_paraphrase = one // 2 == other // 2
        assert cosine >= SIMILAR if is_paraphrase else cosine <= 0.3, (QUESTIONS[one], QUESTIONS[other], cosine)


async def test_a_chat_model_makes_vectors_with_a_warning(tmp_path: Path) -> None:
    said: list[str] = []
    found = await vectors_of(tmp_path, QUESTIONS[:2], asked_model("smollm2-135m", None), said.append)
    assert said[1] == (
        "smollm2-135m names no pooling, as embedding models do: a chat model's vectors say little of meaning"
    )
    assert from_bytes([found.vectors[question] for question in QUESTIONS[:2]]).shape == (2, 576)


def test_the_command_counts_a_runs_duplicates_by_a_file(tmp_path: Path) -> None:
    run = tmp_path / "run"
    lines = [json.dumps({"title": one.title, "text": one.text}) for one in generated(6)]
    (tmp_path / "documents.jsonl").write_text("\n".join(lines))
    (tmp_path / "autodata.toml").write_text('domain = "cs"\nmodels.default = {provider = "simulated"}\n')
    documents = ("--documents", tmp_path / "documents.jsonl")
    made = invoke("run", "--config", tmp_path / "autodata.toml", *documents, "--out", run)
    assert made.exit_code == 0, made.output
    result = invoke("analyse", run, "--embeddings", minilm(), "--json")
    assert result.exit_code == 0, result.output
    analysis = json.loads(result.stdout)
    assert analysis["doubles"]["semantic"]["model"] == "all-minilm-l6-v2.gguf"
    assert analysis["coverage"]["clusters"]["by"] == "all-minilm-l6-v2.gguf"
    # Simulated questions are alike but for a few words, which a model of meaning finds.
    assert analysis["examples"] > 1
    assert analysis["doubles"]["semantic"]["nearest"] > 0.5
