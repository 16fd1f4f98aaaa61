from __future__ import annotations

import json
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.records import Example
from autodata.corpus.exporters.jsonl import export_jsonl
from autodata.corpus.exporters.registry import EXPORTERS


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


def rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="\n") as stream:
        return [json.loads(line) for line in stream]


def test_a_row_holds_all_that_a_trainer_needs(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert EXPORTERS["jsonl"]([example()], out) == 1
    assert rows(out) == [
        {
            "id": "e1",
            "domain": "cs",
            "question": "Why\u2028so “high”?",
            "context": "At sea.",
            "reference_answer": "Därför.",
            "rubric": [{"criterion": "names the moon", "weight": 3}],
            "document_id": "d",
            "document_name": "tides.md",
            "weak_scores": [1 / 3, 0.0],
            "strong_scores": [1.0, 0.75],
            "weak_mean": 1 / 6,
            "strong_mean": 0.875,
            "gap": 17 / 24,
            "rounds": 2,
            "preset": "paper",
            "prompt_version": "p1",
            "models": {"weak_solver": "small"},
        }
    ]


def test_curtailed_means_are_null_and_the_passage_is_kept(tmp_path: Path) -> None:
    bare = {"question": "q", "reference_answer": "a"}
    curtailed = example(candidate=bare, passage="The moon.", weak_mean=None, strong_mean=None, gap=None)
    export_jsonl([curtailed], tmp_path / "out.jsonl")
    (row,) = rows(tmp_path / "out.jsonl")
    assert (row["weak_mean"], row["strong_mean"], row["gap"]) == (None, None, None)
    assert (row["passage"], row["context"]) == ("The moon.", "")
    assert "rubric" not in row


def test_rows_are_one_a_line_and_counted(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert export_jsonl((example(number) for number in range(3)), out) == 3
    assert [row["id"] for row in rows(out)] == ["e0", "e1", "e2"]
    assert out.read_bytes().count(b"\n") == 3
    assert export_jsonl([], out) == 0
    assert out.read_bytes() == b""


@pytest.mark.parametrize("out", [None, Path("-")])
def test_standard_output(out: Path | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert export_jsonl([example(), example(2)], out) == 2
    printed = capsys.readouterr().out.split("\n")
    assert [json.loads(line)["id"] for line in printed[:-1]] == ["e1", "e2"]
    assert printed[-1] == ""


def failing(error: Exception) -> Iterator[Example]:
    yield example()
    raise error


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(28, "No space left on device"), RunFailed),
        (PermissionError(13, "no"), UserError),
        (KeyError("x"), KeyError),
    ],
)
def test_failed_export_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: Exception, raised: type[Exception]
) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("old")
    with pytest.raises(raised):
        export_jsonl(failing(error), out)
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]


def test_missing_folder_and_folder_as_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make it first"):
        export_jsonl([example()], tmp_path / "no" / "out.jsonl")
    with pytest.raises(UserError, match="is a folder: name a file in it"):
        export_jsonl([example()], tmp_path)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "out.jsonl"
    link.symlink_to(tmp_path / "real" / "data.jsonl")
    export_jsonl([example()], link)
    assert link.is_symlink()
    assert len(rows(tmp_path / "real" / "data.jsonl")) == 1


def test_a_pipe_is_written_into_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert export_jsonl([example()], pipe) == 1
        assert json.loads(os.read(reader, 60_000))["id"] == "e1"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_a_write_that_fails_is_told_in_one_line(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    def examples() -> Iterator[Example]:
        os.close(reader)
        yield example()

    with pytest.raises(RunFailed, match=r"pipe: writing failed: Broken pipe$"):
        export_jsonl(examples(), pipe)
