"""Accepted examples as files: one module a format, behind one registry.

`rows` says what a row is, `files` and `folder` write a file or a folder whole, `splits` divides, `card` describes.
"""

from autodata.corpus.exporters.registry import EXPORTERS, Exporter
from autodata.corpus.exporters.rows import ExampleRow, ExportSet, read_rows

__all__ = ["EXPORTERS", "ExampleRow", "ExportSet", "Exporter", "read_rows"]
