"""verl: Parquet with `data_source`, `prompt` and `reward_model`, and the function that scores."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import TypedDict

from autodata.checkpoints.texts import json_text
from autodata.corpus.exporters.card import card, filled
from autodata.corpus.exporters.folder import write_folder
from autodata.corpus.exporters.judged import Message, asked, asked_about, rubric_text, scorer_files, template
from autodata.corpus.exporters.parquet import parquet_bytes
from autodata.corpus.exporters.provenance import Provenance, provenance
from autodata.corpus.exporters.rows import ExampleRow, ExportSet


class RewardModel(TypedDict):
    """How a row is scored: by a rule, which is the function that stands beside the data."""

    style: str
    ground_truth: str
    """JSON: question, context, reference_answer and rubric."""


class ExtraInfo(Provenance):
    """What a row is known by, and where it comes from."""

    index: int
    split: str
    example_id: str


class VerlRow(TypedDict):
    """A row as verl reads it."""

    data_source: str
    prompt: list[Message]
    ability: str
    reward_model: RewardModel
    extra_info: ExtraInfo


def verl_row(row: ExampleRow, index: int, split: str, *, answers: bool = False) -> VerlRow:
    """Return the row of a prompt."""
    truth = json_text({**asked_about(row), "rubric": rubric_text(row)})
    return {
        "data_source": f"autodata/{row['domain']}",
        "prompt": asked(row),
        "ability": row["domain"],
        "reward_model": {"style": "rule", "ground_truth": truth},
        "extra_info": {"index": index, "split": split, "example_id": row["id"], **provenance(row, answers=answers)},
    }


def export_verl(data: ExportSet, out: Path | None) -> int:
    """Write `SPLIT.parquet`, `compute_score.py`, `scoring.py` and a card. Returns how many prompts there were.

    Raises UserError and RunFailed as `write_folder`.
    """
    contents: dict[str, str | bytes] = {
        f"{name}.parquet": parquet_bytes(
            [verl_row(row, n, name, answers=data.answers) for n, row in enumerate(rows)], VerlRow
        )
        for name, rows in data.splits.items()
    }
    contents |= scorer_files(data) | {"compute_score.py": template("compute_score.py")}
    contents["README.md"] = card(data, {"default": filled(data.splits, "{}.parquet")})
    write_folder(out, "verl", contents)
    return len(data)
