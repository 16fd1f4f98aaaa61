"""Accepted examples as files: one module a format; `registry` holds the formats, `files` writes a file whole."""

from autodata.corpus.exporters.files import STDOUT
from autodata.corpus.exporters.jsonl import jsonl_row
from autodata.corpus.exporters.registry import EXPORTERS

__all__ = ["EXPORTERS", "STDOUT", "jsonl_row"]
