"""Inspect: a task file with its data and a scorer that asks the model of role `grader`."""

from __future__ import annotations

from pathlib import Path

from autodata.corpus.exporters.folder import write_folder
from autodata.corpus.exporters.jsonl import carded_files
from autodata.corpus.exporters.judged import rubric_text, scorer_files, template
from autodata.corpus.exporters.provenance import Provenance, provenance
from autodata.corpus.exporters.rows import ExampleRow, ExportSet, prompt_text


class Sample(Provenance):
    """A question with what scores an answer to it."""

    id: str
    input: str
    target: str
    rubric: str
    """JSON: a list of {criterion, weight}; `[]` where a reference answer decides."""
    domain: str
    question: str
    context: str
    reference_answer: str


def sample(row: ExampleRow, *, answers: bool = False) -> Sample:
    """Return a row as `json_dataset` reads it."""
    return {
        "id": row["id"],
        "input": prompt_text(row),
        "target": row["reference_answer"],
        "rubric": rubric_text(row),
        "domain": row["domain"],
        "question": row["question"],
        "context": row["context"],
        "reference_answer": row["reference_answer"],
        **provenance(row, answers=answers),
    }


def export_inspect(data: ExportSet, out: Path | None) -> int:
    """Write `task.py`, `data/SPLIT.jsonl`, `scoring.py` and a card. Returns how many samples there were.

    Raises UserError and RunFailed as `write_folder`.
    """
    splits = {name: [sample(row, answers=data.answers) for row in rows] for name, rows in data.splits.items()}
    contents = carded_files(data, splits, Sample, "data/") | scorer_files(data)
    write_folder(out, "inspect", contents | {"task.py": template("task.py")})
    return len(data)
