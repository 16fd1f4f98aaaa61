"""Inspect: a task file with its data and a scorer that asks the model of role `grader`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autodata.corpus.exporters.card import card
from autodata.corpus.exporters.folder import write_folder
from autodata.corpus.exporters.jsonl import split_files
from autodata.corpus.exporters.judged import asked_about, rubric_text, scorer_files, template
from autodata.corpus.exporters.provenance import provenance
from autodata.corpus.exporters.rows import ExampleRow, ExportSet, prompt_text


def sample(row: ExampleRow, *, answers: bool = False) -> dict[str, Any]:
    """Return a row as `json_dataset` reads it."""
    return {
        "id": row["id"],
        "input": prompt_text(row),
        "target": row["reference_answer"],
        "rubric": rubric_text(row),
        "domain": row["domain"],
        **asked_about(row),
        **provenance(row, answers=answers),
    }


def export_inspect(data: ExportSet, out: Path | None) -> int:
    """Write `task.py`, `data/SPLIT.jsonl`, `scoring.py` and a card. Returns how many samples there were.

    Raises UserError and RunFailed as `write_folder`.
    """
    splits = {name: [sample(row, answers=data.answers) for row in rows] for name, rows in data.splits.items()}
    contents = split_files(splits, "data/") | scorer_files(data) | {"task.py": template("task.py")}
    contents["README.md"] = card(data, {name: [f"data/{name}.jsonl"] for name in splits})
    write_folder(out, "inspect", contents)
    return len(data)
