"""JSON Lines: one object a line for each accepted example, in UTF-8, with the same keys in every line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from autodata.checkpoints.texts import json_text
from autodata.corpus.exporters.card import card, filled
from autodata.corpus.exporters.files import write_whole
from autodata.corpus.exporters.folder import write_folder
from autodata.corpus.exporters.rows import ExampleRow, ExportSet


def export_jsonl(data: ExportSet, out: Path | None) -> int:
    """Write one JSON object a line for each example and return how many there were.

    `out` is a file, or None or `-` for standard output; with several splits it is a folder, a file for each. Raises
    UserError and RunFailed as `write_whole` and `write_folder`.
    """
    if len(data.splits) > 1:
        write_folder(out, "jsonl", carded_files(data, data.splits, ExampleRow))
        return len(data)
    text = lines(data.rows)

    def write(stream: Any) -> int:
        stream.write(text)
        return len(data)

    return write_whole(out, write)


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as JSON Lines."""
    return "".join(f"{json_text(row)}\n" for row in rows)


def split_files(splits: Mapping[str, Iterable[Mapping[str, Any]]], before: str = "") -> dict[str, str | bytes]:
    """Return the file of each split: its name, with a folder or the like before it, and its lines."""
    return {f"{before}{name}.jsonl": lines(rows) for name, rows in splits.items()}


def carded_files(
    data: ExportSet, splits: Mapping[str, Sequence[Mapping[str, Any]]], row_type: Any, folder: str = ""
) -> dict[str, str | bytes]:
    """Return the file of each split as `split_files` does, and a card that names their columns with their types.

    `row_type` is the TypedDict of the rows.
    """
    configs = {"default": filled(splits, f"{folder}{{}}.jsonl")}
    return split_files(splits, folder) | {"README.md": card(data, configs, row_types={"default": row_type})}
