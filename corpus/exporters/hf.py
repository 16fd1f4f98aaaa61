"""A folder as the Hugging Face hub has it: Parquet by split, and a card (`datasets.load_dataset(folder)` reads it)."""

from __future__ import annotations

from pathlib import Path

from autodata.corpus.exporters.card import card, filled
from autodata.corpus.exporters.folder import write_folder
from autodata.corpus.exporters.parquet import parquet_bytes
from autodata.corpus.exporters.rows import ExampleRow, ExportSet

FORMAT = "hf"


def export_hf(data: ExportSet, out: Path | None) -> int:
    """Write the folder and return how many examples there were. Raises UserError and RunFailed as `write_folder`."""
    write_folder(out, FORMAT, hf_files(data))
    return len(data)


def hf_files(data: ExportSet) -> dict[str, str | bytes]:
    """Return the folder's files by path. Raises UserError without pyarrow."""
    paths = {name: f"data/{name}-00000-of-00001.parquet" for name in data.splits}
    files: dict[str, str | bytes] = {paths[name]: parquet_bytes(rows, ExampleRow) for name, rows in data.splits.items()}
    files["README.md"] = card(data, {"default": filled(data.splits, "data/{}-00000-of-00001.parquet")})
    return files
