"""NeMo Gym: one request of the Responses API a line, with what a verifier needs beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autodata.corpus.exporters.card import card
from autodata.corpus.exporters.folder import write_folder
from autodata.corpus.exporters.jsonl import split_files
from autodata.corpus.exporters.judged import asked, asked_about, scorer_files
from autodata.corpus.exporters.provenance import provenance
from autodata.corpus.exporters.rows import ExampleRow, ExportSet


def request(row: ExampleRow, *, answers: bool = False) -> dict[str, Any]:
    """Return a row's line."""
    known = {"id": row["id"], "domain": row["domain"], "rubric": row["rubric"], **asked_about(row)}
    return {"responses_create_params": {"input": asked(row)}, **known, **provenance(row, answers=answers)}


def export_nemo_gym(data: ExportSet, out: Path | None) -> int:
    """Write `SPLIT.jsonl`, `scoring.py` and a card. Returns how many there were; raises as `write_folder`."""
    contents = split_files(
        {name: [request(row, answers=data.answers) for row in rows] for name, rows in data.splits.items()}
    )
    contents |= scorer_files(data)
    contents["README.md"] = card(data, {name: [f"{name}.jsonl"] for name in data.splits})
    write_folder(out, "nemo-gym", contents)
    return len(data)
