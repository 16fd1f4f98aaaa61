"""NeMo Gym: one request of the Responses API a line, with what a verifier needs beside it."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import TypedDict

from autodata.corpus.exporters.folder import write_folder
from autodata.corpus.exporters.jsonl import carded_files
from autodata.corpus.exporters.judged import Message, asked, scorer_files
from autodata.corpus.exporters.provenance import Provenance, provenance
from autodata.corpus.exporters.rows import Criterion, ExampleRow, ExportSet


class Params(TypedDict):
    """A request of the Responses API."""

    input: list[Message]


class Request(Provenance):
    """A line: a request, and what a verifier needs beside it."""

    responses_create_params: Params
    id: str
    domain: str
    rubric: list[Criterion]
    question: str
    context: str
    reference_answer: str


def request(row: ExampleRow, *, answers: bool = False) -> Request:
    """Return a row's line."""
    return {
        "responses_create_params": {"input": asked(row)},
        "id": row["id"],
        "domain": row["domain"],
        "rubric": row["rubric"],
        "question": row["question"],
        "context": row["context"],
        "reference_answer": row["reference_answer"],
        **provenance(row, answers=answers),
    }


def export_nemo_gym(data: ExportSet, out: Path | None) -> int:
    """Write `SPLIT.jsonl`, `scoring.py` and a card. Returns how many there were; raises as `write_folder`."""
    splits = {name: [request(row, answers=data.answers) for row in rows] for name, rows in data.splits.items()}
    write_folder(out, "nemo-gym", carded_files(data, splits, Request) | scorer_files(data))
    return len(data)
