"""JSON Lines: one object a line for each accepted example, in UTF-8, with the same keys in every line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from autodata.checkpoints.texts import json_text
from autodata.corpus.exporters.files import write_whole
from autodata.corpus.exporters.folder import write_folder
from autodata.corpus.exporters.rows import ExportSet


def export_jsonl(data: ExportSet, out: Path | None) -> int:
    """Write one JSON object a line for each example and return how many there were.

    `out` is a file, or None or `-` for standard output; with several splits it is a folder, a file for each. Raises
    UserError and RunFailed as `write_whole` and `write_folder`.
    """
    if len(data.splits) > 1:
        write_folder(out, "jsonl", split_files(data.splits))
        return len(data)
    text = lines(data.rows)

    def write(stream: Any) -> int:
        stream.write(text)
        return len(data)

    return write_whole(out, write)


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as JSON Lines."""
    return "".join(f"{json_text(row)}\n" for row in rows)


def split_files(splits: Mapping[str, Iterable[Mapping[str, Any]]], folder: str = "") -> dict[str, str | bytes]:
    """Return the file of each split: its name, with `folder` before it, and its lines."""
    return {f"{folder}{name}.jsonl": lines(rows) for name, rows in splits.items()}
