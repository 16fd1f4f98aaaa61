from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter, ValidationError

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.ids import part_of
from autodata.checkpoints.queries.documents import ExampleSource
from autodata.checkpoints.records import Document, Example
from autodata.corpus.exporters.folder import MANIFEST
from autodata.corpus.exporters.jsonl import export_jsonl
from autodata.corpus.exporters.registry import EXPORTERS
from autodata.corpus.exporters.rows import (
    ExampleRow,
    ExportSet,
    JudgePrompt,
    RunFacts,
    example_row,
    plain_row,
)
from autodata.corpus.exporters.splits import parse_shares, split
from autodata.corpus.exporters.turns import TURNS, TurnRow
from autodata.runner.chunks import chunked


def example(number: int = 1, **changes: Any) -> Example:
    values: dict[str, Any] = {
        "example_id": f"e{number}",
        "document_id": "d",
        "document_name": "tides.md",
        "domain": "cs",
        "candidate_id": "c",
        "candidate": {
            "question": "Why\u2028so “high”?",
            "context": "At sea.",
            "reference_answer": "Därför.",
            "rubric": [{"criterion": "names the moon", "weight": 3}],
        },
        "rounds": 2,
        "weak_scores": (Fraction(1, 3), Fraction(0)),
        "strong_scores": (Fraction(1), Fraction(3, 4)),
        "weak_mean": Fraction(1, 6),
        "strong_mean": Fraction(7, 8),
        "gap": Fraction(17, 24),
        "preset": "paper",
        "checks": (),
        "prompt_version": "p1",
        "models": {"weak_solver": "small"},
    }
    return Example.model_validate(values | changes)


def attempt(stage: str, index: int, score: float | None, answer: str = "", **changes: Any) -> dict[str, Any]:
    said = answer or f"{stage} {index}"
    found = {"stage": stage, "idx": index, "answer": said, "score_value": score, "truncated": 0, "response": said}
    return found | changes


ATTEMPTS = [
    attempt("weak", 0, 0.3),
    attempt("weak", 1, 0.0),
    attempt("weak", 2, None),
    attempt("strong", 0, 0.75),
    attempt("strong", 1, 1.0, "The moon.", response="<think>Hm.</think>\n\nThe moon."),
]
JUDGE = JudgePrompt("Judge.", "{{question}} {{criteria}} {{answer}} {{schema}}")


def rich(number: int = 1, **changes: Any) -> ExampleRow:
    text = f"Tides rise {number}."
    return example_row(ExampleSource(example(number, **changes), "Tides", text, ATTEMPTS), run="r")


def data(*rows: ExampleRow, **splits: list[ExampleRow]) -> ExportSet:
    facts = RunFacts(name="My tides", run="r", domain="cs", judge=JUDGE, licence="cc-by-4.0")
    sides = splits or {"train": list(rows)}
    return ExportSet(sides, facts, {name: [turn(row) for row in side] for name, side in sides.items()})


def turn(row: ExampleRow) -> TurnRow:
    """Return the accepted turn that a row came from."""
    same: dict[str, Any] = {name: value for name, value in row.items() if name in TurnRow.__annotations__}
    came = {"label": True, "outcome": "accepted", "failure_mode": "", "reason": "", "reasoning": "", "challenger": 0}
    said = {"prompt": [{"role": "user", "content": "Write."}], "completion": [{"role": "assistant", "content": "{}"}]}
    return TURNS.validate_python(same | came | said | {"model": "m"})


def rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="\n") as stream:
        return [json.loads(line) for line in stream]


def test_a_row_holds_all_that_a_trainer_needs(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert EXPORTERS["jsonl"](data(rich()), out) == 1
    (row,) = rows(out)
    assert row["rubric"] == [
        {"criterion": "names the moon", "weight": 3, "category": "", "capability": "", "weight_class": ""}
    ]
    assert (row["weak_scores"], row["strong_scores"]) == ([1 / 3, 0.0], [1.0, 0.75])
    assert (row["weak_mean"], row["strong_mean"], row["gap"], row["round"]) == (1 / 6, 0.875, 17 / 24, 2)
    assert row["models"] == [{"role": "weak_solver", "model": "small"}]
    assert row["document_sha256"] == hashlib.sha256(b"Tides rise 1.").hexdigest()
    assert (row["document_title"], row["source"], row["run"]) == ("Tides", "", "r")
    assert [one["reasoning"] for one in row["attempts"]] == ["", "", "", "", "<think>Hm.</think>"]
    assert row["attempts"][2]["score"] is None


def test_every_row_has_the_same_keys_of_the_same_types_whatever_the_domain() -> None:
    legal = {
        "question": "May I?",
        "target_capabilities": ["a"],
        "rubric": [{"criterion": "c", "weight": -1, "category": "x", "capability": "a", "weight_class": "major"}],
    }
    bare = {"question": "q", "reference_answer": "a"}
    found = [
        rich(),
        plain_row(example(candidate=legal, grpo_suitability="high")),
        plain_row(example(candidate=bare, passage="The moon.", weak_mean=None, strong_mean=None, gap=None)),
    ]
    assert {tuple(row) for row in found} == {tuple(ExampleRow.__annotations__)}
    assert found[2]["weak_mean"] is None
    assert (found[2]["passage"], found[2]["rubric"]) == ("The moon.", [])
    assert len({tuple(item) for row in found for item in row["rubric"]}) == 1


def test_a_row_of_a_part_says_which_one_it_is() -> None:
    long = Document(
        document_id="d" * 16, name="long.md", title="Long", text="\n\n".join(["# A part", "x" * 90] * 1_200)
    )
    last = chunked(long, 100).parts[-1]
    known: dict[str, Any] = {"document_id": last.document_id, "document_name": last.name}
    row = example_row(ExampleSource(example(**known), last.title, last.text, (), last.note))
    assert (row["chunk"], row["chunks"]) == (len(chunked(long, 100).parts),) * 2
    assert row["chunks"] is not None
    assert row["chunks"] > 1_000
    first = chunked(long.model_copy(update={"note": "part 7 of 9 was lost"}), 100, most=2).parts
    assert [part_of(part.document_id, part.note) for part in first] == [(1, row["chunks"]), (2, row["chunks"])]
    assert (rich()["chunk"], rich()["chunks"]) == (None, None)
    assert part_of("d" * 16, last.note) is None, "a whole document has no part, whatever its note says"


def test_rows_are_one_a_line_and_counted(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert export_jsonl(data(*map(rich, range(3))), out) == 3
    assert [row["id"] for row in rows(out)] == ["e0", "e1", "e2"]
    assert out.read_bytes().count(b"\n") == 3
    assert export_jsonl(data(), out) == 0
    assert out.read_bytes() == b""


@pytest.mark.parametrize("out", [None, Path("-")])
def test_standard_output(out: Path | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert export_jsonl(data(rich(), rich(2)), out) == 2
    printed = capsys.readouterr().out.split("\n")
    assert [json.loads(line)["id"] for line in printed[:-1]] == ["e1", "e2"]
    assert printed[-1] == ""


@pytest.mark.parametrize("name", ["jsonl", "hf"])
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(28, "No space left on device"), RunFailed),
        (PermissionError(13, "no"), UserError),
        (KeyError("x"), KeyError),
    ],
)
def test_a_failed_export_leaves_the_old_one_and_nothing_else(
    name: str, tmp_path: Path, error: Exception, raised: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    EXPORTERS[name](data(rich()), out)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def failing(descriptor: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(raised):
        EXPORTERS[name](data(rich(), rich(2)), out)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert list(tmp_path.iterdir()) == [out]


def test_missing_folder_and_folder_as_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make it first"):
        export_jsonl(data(rich()), tmp_path / "no" / "out.jsonl")
    with pytest.raises(UserError, match="is a folder: name a file in it"):
        export_jsonl(data(rich()), tmp_path)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in [name for name in EXPORTERS.shipped if name != "jsonl"]:
        with pytest.raises(UserError, match="holds other files than an export"):
            EXPORTERS[name](data(rich()), tmp_path)
        with pytest.raises(UserError, match="is a file"):
            EXPORTERS[name](data(rich()), tmp_path / "file")
        with pytest.raises(UserError, match="is a folder: name one"):
            EXPORTERS[name](data(rich()), Path("-"))
        with pytest.raises(UserError, match="make it first"):
            EXPORTERS[name](data(rich()), tmp_path / "no" / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "thesis.tex"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "out.jsonl"
    link.symlink_to(tmp_path / "real" / "data.jsonl")
    export_jsonl(data(rich()), link)
    assert link.is_symlink()
    assert len(rows(tmp_path / "real" / "data.jsonl")) == 1


def test_a_pipe_is_written_into_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert export_jsonl(data(rich()), pipe) == 1
        assert json.loads(os.read(reader, 60_000))["id"] == "e1"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_splits_keep_documents_and_near_duplicates_together() -> None:
    long = "Why does the water in a harbour rise twice a day and not once, given one moon, case {}?"
    found = [
        rich(
            n, document_name=f"paper{n // 3}.md#{n % 3}" if n < 30 else f"other{n}.md", candidate={"question": question}
        )
        for n in range(60)
        for question in [long.format("one") if n in {0, 40} else f"question {n} about matter {n * 7}"]
    ]
    sides = split(found, parse_shares("80/10/10"))
    counts = {name: len(rows) for name, rows in sides.items()}
    assert all(abs(counts[name] - 60 * share) <= 2 for name, share in zip(counts, (0.8, 0.1, 0.1), strict=True)), counts
    assert sum(counts.values()) == 60
    side = {row["id"]: name for name, rows in sides.items() for row in rows}
    assert all(len({side[f"e{3 * n + part}"] for part in range(3)}) == 1 for n in range(10)), "parts of one document"
    assert side["e0"] == side["e40"], "near duplicates"
    backwards = split(found[::-1], parse_shares("8/1/1"))
    assert {row["id"]: name for name, rows in backwards.items() for row in rows} == side
    assert all([*map(found.index, rows)] == sorted(map(found.index, rows)) for rows in sides.values())
    assert split(found) == {"train": found}


@pytest.mark.parametrize("text", ["", "1", "0/1", "-1/2", "a/b", "1/1/1/1", "1/0.0", "nan/1", "1/"])
def test_shares_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"--split .*two or three positive numbers"):
        parse_shares(text)


@pytest.mark.parametrize("name", EXPORTERS.shipped)
def test_the_same_run_gives_the_same_bytes_and_a_new_export_replaces_an_old_one(name: str, tmp_path: Path) -> None:
    def written(place: str) -> dict[str, bytes]:
        out = tmp_path / place
        assert EXPORTERS[name](data(train=[rich(), rich(2)], test=[rich(3)]), out) == 3
        return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}

    first = written("folder1")
    manifest = json.loads(first[MANIFEST])
    assert manifest["format"] == name
    assert manifest["files"].keys() == first.keys() - {MANIFEST}
    (tmp_path / "folder1" / "stale.txt").write_text("old")
    assert written("folder1") == first
    other = {
        path.replace("folder2", "folder1"): text.replace(b"folder2", b"folder1")
        for path, text in written("folder2").items()
    }
    assert other.keys() == first.keys()
    if name != "verifiers":  # its package is called as the folder is
        assert other == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder1", "folder2"]


def test_solver_answers_are_an_option_of_every_format(tmp_path: Path) -> None:
    """The column is there with and without them; what a model reasoned is never in an answer."""
    wanted, asked = rich()["attempts"], replace(data(rich()), answers=True)
    assert any(one["reasoning"] for one in wanted)
    for name in [name for name in EXPORTERS.shipped if name not in {"jsonl", "challenger"}]:
        for folder, found, expected in (("bare", data(rich()), []), ("whole", asked, wanted)):
            out = tmp_path / folder / name
            out.parent.mkdir(exist_ok=True)
            EXPORTERS[name](found, out)
            for row in (one.get("extra_info", one) for one in rows_of(out)):
                assert row["attempts"] == (wanted if name == "hf" else expected), name
                assert not any("<think>" in one["answer"] for one in row["attempts"])
                assert (row["weak_scores"], row["strong_scores"]) == (rich()["weak_scores"], rich()["strong_scores"])


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Return every row of a folder, whatever its files are."""
    found = [row for path in folder.rglob("*.jsonl") for row in rows(path)]
    found += [row for path in folder.rglob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert found
    return found


def test_a_chat_is_the_best_answer_and_a_pair_the_widest(tmp_path: Path) -> None:
    poor = example_row(ExampleSource(example(2), "", "", [attempt("strong", 0, 0.2), attempt("weak", 0, 0.2)]))
    EXPORTERS["messages"](data(rich(), poor), tmp_path / "sft")
    best, reference = rows(tmp_path / "sft" / "train.jsonl")
    assert best["messages"] == [
        {"role": "user", "content": "At sea.\n\nWhy\u2028so “high”?"},
        {"role": "assistant", "content": "The moon."},
    ]
    assert (best["answer_from"], best["score"]) == ("strong_solver", 1.0)
    assert (reference["answer_from"], reference["score"]) == ("reference", None)
    assert EXPORTERS["dpo"](data(rich(), poor), tmp_path / "dpo") == 1, "nothing is to be preferred among equals"
    (pair,) = rows(tmp_path / "dpo" / "train.jsonl")
    assert (pair["chosen"][0]["content"], pair["rejected"][0]["content"], pair["margin"]) == (
        "The moon.",
        "weak 1",
        1.0,
    )


def test_a_card_says_how_hard_it_is_and_no_title_breaks_its_head(tmp_path: Path) -> None:
    odd = data(rich(), rich(2))
    odd = ExportSet(
        odd.splits, replace(odd.facts, name='A "tide": # [x]\n---', figures={"failure_modes": {"too_easy": 4}})
    )
    EXPORTERS["hf"](odd, tmp_path / "hf")
    text = (tmp_path / "hf" / "README.md").read_text("utf-8")
    _, head, rest = text.split("---\n", 2)
    known = yaml.safe_load(head)
    assert known["pretty_name"] == odd.facts.name
    assert known["license"] == "cc-by-4.0"
    assert known["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-00000-of-00001.parquet"}]
    assert "| all | 2 | 0.17 | 0.88 | 0.71 | 0.00 | 0.00 | 0% |" in rest
    assert "| too_easy | 4 |" in rest
    EXPORTERS["hf"](data(train=[rich()], test=[]), tmp_path / "bare")
    head = yaml.safe_load((tmp_path / "bare" / "README.md").read_text("utf-8").split("---\n", 2)[1])
    assert [file["split"] for file in head["configs"][0]["data_files"]] == ["train"], "an empty split cannot be loaded"


def test_parquet_has_the_types_of_a_row_even_without_rows(tmp_path: Path) -> None:
    EXPORTERS["hf"](data(train=[rich()], test=[]), tmp_path / "hf")
    full, empty = (
        pq.read_table(tmp_path / "hf" / "data" / f"{name}-00000-of-00001.parquet") for name in ("train", "test")
    )
    assert full.schema == empty.schema
    file = pq.ParquetFile(tmp_path / "hf" / "data" / "test-00000-of-00001.parquet")
    assert file.num_row_groups == 0, "datasets refuses a group without rows"
    assert full.to_pylist() == [dict(rich())]


def test_a_format_with_a_reward_needs_a_judge(tmp_path: Path) -> None:
    bare = ExportSet({"train": [rich()]})
    for name in ("trl-grpo", "verifiers", "inspect", "verl", "nemo-gym"):
        with pytest.raises(UserError, match="no prompt of a judge"):
            EXPORTERS[name](bare, tmp_path / name)
    assert not any(tmp_path.iterdir())


def test_a_line_of_nemo_gym_is_a_request_as_its_servers_take_them(tmp_path: Path) -> None:
    """Its model of a request is OpenAI's, field for field, and forbids others; what stands beside it is free."""
    EXPORTERS["nemo-gym"](data(rich(), rich(2)), tmp_path / "nemo-gym")
    schema = TypeAdapter(ResponseCreateParamsNonStreaming)
    found = rows(tmp_path / "nemo-gym" / "train.jsonl")
    assert len(found) == 2
    for row in found:
        request = row["responses_create_params"]
        assert request.keys() <= ResponseCreateParamsNonStreaming.__annotations__.keys()
        assert schema.validate_python(request, strict=True) == request
        assert [message["role"] for message in request["input"]] == ["user"]
        assert row["question"] in request["input"][0]["content"]
        assert not request.keys() & row.keys()
    with pytest.raises(ValidationError):
        schema.validate_python({"input": [{"role": "nobody", "content": 1}]}, strict=True)
