"""The formats of `autodata export --format`: the package's own, and those of entry points `autodata.exporters`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from autodata.checkpoints.records import Example
from autodata.checkpoints.registry import Registry
from autodata.corpus.exporters.jsonl import export_jsonl

Exporter = Callable[[Iterable[Example], Path | None], int]
"""Writes examples to a file, or for None or `-` to standard output, and returns how many there were.

It raises UserError for a place that cannot be written to and RunFailed when writing fails; `files.write_whole` does.
"""

EXPORTERS: Registry[Exporter] = Registry("autodata.exporters", "format", {"jsonl": export_jsonl})
"""Each format by what `--format` calls it."""
