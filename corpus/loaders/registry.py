"""The formats of documents by the suffix of their files: ours, and those of entry points `autodata.loaders`.

A package adds a format by an entry point that is called as its suffix is, without the dot, and names a `Loader`, or a
function of a file and a `Reading` that yields its texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from autodata.checkpoints.registry import Registry
from autodata.corpus.loaders.base import Loader
from autodata.corpus.loaders.notebook import NOTEBOOK
from autodata.corpus.loaders.office import DOCX, PPTX
from autodata.corpus.loaders.pages import PAGE
from autodata.corpus.loaders.pdf import PDF
from autodata.corpus.loaders.plain import CODE, CODE_SUFFIXES, MARKDOWN, RST, TEX, TEXT
from autodata.corpus.loaders.records import JSON, LINES
from autodata.corpus.loaders.tables import CSV, PARQUET

FORMATS: Final[Mapping[str, Loader]] = {
    "txt": TEXT,
    "md": MARKDOWN,
    "markdown": MARKDOWN,
    "rst": RST,
    "tex": TEX,
    "html": PAGE,
    "htm": PAGE,
    "docx": DOCX,
    "pptx": PPTX,
    "pdf": PDF,
    "ipynb": NOTEBOOK,
    "jsonl": LINES,
    "ndjson": LINES,
    "json": JSON,
    "csv": CSV,
    "tsv": CSV,
    "parquet": PARQUET,
    **dict.fromkeys(CODE_SUFFIXES, CODE),
}
"""Suffix -> how its files are read."""

FIRST: Final = ("txt", "md", "pdf", "jsonl")
"""What the first reader read."""


def _loader(name: str, found: Any) -> Loader:
    if isinstance(found, Loader):
        return found
    if callable(found):
        return Loader(found, f".{name}")
    raise ValueError("it is neither a Loader nor a function of a file and a Reading")


LOADERS: Registry[Loader] = Registry("autodata.loaders", "loader", FORMATS, _loader)
"""Each format by the suffix of its files, without the dot."""
