"""JSON Lines: one object a line for each accepted example, in UTF-8."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, TextIO

from autodata.checkpoints.records import Example
from autodata.checkpoints.texts import json_text
from autodata.corpus.exporters.files import write_whole


def export_jsonl(examples: Iterable[Example], out: Path | None) -> int:
    """Write one JSON object a line for each example and return how many there were.

    `out` is a file, or None or `-` for standard output. Raises UserError and RunFailed as `write_whole`.
    """
    return write_whole(out, lambda stream: _write_lines(examples, stream))


def jsonl_row(example: Example) -> dict[str, Any]:
    """Return one line of `export_jsonl`. Scores are in 0..1; means are null where attempts were curtailed."""
    candidate = example.candidate
    row: dict[str, Any] = {
        "id": example.example_id,
        "domain": example.domain,
        "question": candidate["question"],
        "context": candidate.get("context", ""),
        "reference_answer": candidate["reference_answer"],
    }
    if candidate.get("rubric"):
        row["rubric"] = candidate["rubric"]
    if candidate.get("target_capabilities"):
        row["target_capabilities"] = candidate["target_capabilities"]
    if example.passage:
        row["passage"] = example.passage
    if example.grpo_suitability:
        row["grpo_suitability"] = example.grpo_suitability
    return row | {
        "document_id": example.document_id,
        "document_name": example.document_name,
        "weak_scores": [float(score) for score in example.weak_scores],
        "strong_scores": [float(score) for score in example.strong_scores],
        "weak_mean": _number(example.weak_mean),
        "strong_mean": _number(example.strong_mean),
        "gap": _number(example.gap),
        "rounds": example.rounds,
        "preset": example.preset,
        "prompt_version": example.prompt_version,
        "models": example.models,
    }


def _write_lines(examples: Iterable[Example], stream: TextIO) -> int:
    count = 0
    for example in examples:
        stream.write(json_text(jsonl_row(example)) + "\n")
        count += 1
    return count


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
