"""A taskset package for verifiers 0.4: `vf-validate` and `vf-eval` run it, and its judge scores every row in code."""

from __future__ import annotations

import re
from pathlib import Path

from autodata.checkpoints.texts import json_text
from autodata.corpus.exporters.folder import write_folder
from autodata.corpus.exporters.inspect_ai import Sample, sample
from autodata.corpus.exporters.jsonl import carded_files
from autodata.corpus.exporters.judged import scorer_files, template
from autodata.corpus.exporters.rows import ExportSet


def export_verifiers(data: ExportSet, out: Path | None) -> int:
    """Write the package, named after the folder. Returns how many tasks there were; raises as `write_folder`."""
    module = package_name(out)
    inner = f"{module}/"
    splits = {name: [sample(row, answers=data.answers) for row in rows] for name, rows in data.splits.items()}
    contents = carded_files(data, splits, Sample, f"{inner}data/")
    contents |= scorer_files(data, inner) | {
        f"{inner}taskset.py": template("taskset.py"),
        f"{inner}__init__.py": template("taskset_init.py"),
        "pyproject.toml": _PYPROJECT.format(name=json_text(module.replace("_", "-")), module=json_text(module)),
    }
    write_folder(out, "verifiers", contents)
    return len(data)


def package_name(out: Path | None) -> str:
    """Return the name of the package in a folder: the folder's behind `autodata_`, so that no other is replaced."""
    name = re.sub(r"\W+", "_", out.resolve().name.lower() if out else "", flags=re.ASCII).strip("_")
    return f"autodata_{name.removeprefix('autodata').strip('_')}".rstrip("_")


_PYPROJECT = """\
[project]
name = {name}
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["verifiers>=0.4,<0.5"]

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = [{module}]
"""
