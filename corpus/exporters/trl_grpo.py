"""TRL's GRPOTrainer: prompts with what their reward needs beside them, and the reward itself."""

from __future__ import annotations

from pathlib import Path

from autodata.corpus.exporters.card import card, filled
from autodata.corpus.exporters.folder import write_folder
from autodata.corpus.exporters.judged import Message, asked, rubric_text, scorer_files, template
from autodata.corpus.exporters.parquet import parquet_bytes
from autodata.corpus.exporters.provenance import Provenance, provenance
from autodata.corpus.exporters.rows import ExampleRow, ExportSet


class GrpoRow(Provenance):
    """A prompt and the columns that reach the reward."""

    prompt: list[Message]
    example_id: str
    domain: str
    question: str
    context: str
    reference_answer: str
    rubric: str
    """JSON: a list of {criterion, weight}; `[]` where a reference answer decides."""


def grpo_row(row: ExampleRow, *, answers: bool = False) -> GrpoRow:
    """Return the row of a prompt."""
    return {
        "prompt": asked(row),
        "example_id": row["id"],
        "domain": row["domain"],
        "question": row["question"],
        "context": row["context"],
        "reference_answer": row["reference_answer"],
        "rubric": rubric_text(row),
        **provenance(row, answers=answers),
    }


def export_trl_grpo(data: ExportSet, out: Path | None) -> int:
    """Write the folder: Parquet by split, `reward.py`, `scoring.py` and a card. Returns how many prompts there were.

    Raises UserError and RunFailed as `write_folder`.
    """
    paths = {name: f"data/{name}-00000-of-00001.parquet" for name in data.splits}
    contents: dict[str, str | bytes] = {
        paths[name]: parquet_bytes([grpo_row(row, answers=data.answers) for row in rows], GrpoRow)
        for name, rows in data.splits.items()
    }
    contents |= scorer_files(data) | {"reward.py": template("reward.py")}
    contents["README.md"] = card(data, {"default": filled(data.splits, "data/{}-00000-of-00001.parquet")})
    write_folder(out, "trl-grpo", contents)
    return len(data)
