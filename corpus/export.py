"""Writing accepted examples to files, in one of several formats."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TextIO

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.records import Example, RunFailed, UserError, json_text

STDOUT: Final = Path("-")

_EXAMPLES = "SELECT e.example FROM examples e JOIN documents d USING (document_id) ORDER BY d.rowid, e.rowid"


async def examples_of(ledger: Reader) -> list[Example]:
    """Return the accepted examples of a run, in the order of their documents."""
    return [Example.model_validate_json(row["example"]) for row in await ledger.read(_EXAMPLES)]


def export_jsonl(examples: Iterable[Example], out: Path | None) -> int:
    """Write one JSON object a line for each example and return how many there were.

    `out` is a file, or None or `-` for standard output. A file is whole or not there: it is written beside its place
    and then renamed, so an older one stays until the new one is complete. Raises UserError when it cannot be placed
    there, and RunFailed when writing fails on the way, for instance on a full disk.
    """
    if out is None or out == STDOUT:
        return _write_stdout(examples)
    target = out.resolve()
    if target.is_dir() or not target.parent.is_dir():
        what = "is a folder: name a file in it" if target.is_dir() else f"no folder {target.parent}: make it first"
        raise UserError(f"{out}: {what} (--out FILE)")
    try:
        return _write_file(examples, target)
    except PermissionError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}): choose another --out FILE") from error
    except OSError as error:
        raise RunFailed(f"{out}: writing failed: {error.strerror or error}") from error


FORMATS: Final[dict[str, Callable[[Iterable[Example], Path | None], int]]] = {"jsonl": export_jsonl}
"""What `autodata export --format` offers: each writes examples to a file or standard output and returns how many."""


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


def _write_file(examples: Iterable[Example], target: Path) -> int:
    if target.exists() and not target.is_file():  # a pipe or a device, which a rename would replace
        with target.open("w", encoding="utf-8") as stream:
            return _write_lines(examples, stream)
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as stream:
            count = _write_lines(examples, stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(target)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
    return count


def _write_stdout(examples: Iterable[Example]) -> int:
    """Write in UTF-8, whatever the terminal's encoding is: the lines are data."""
    if not hasattr(sys.stdout, "buffer"):
        return _write_lines(examples, sys.stdout)
    sys.stdout.flush()
    stream = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="\n", write_through=True)
    try:
        return _write_lines(examples, stream)
    finally:
        stream.detach()  # standard output itself stays open


def _write_lines(examples: Iterable[Example], stream: TextIO) -> int:
    count = 0
    for example in examples:
        stream.write(json_text(jsonl_row(example)) + "\n")
        count += 1
    return count


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
