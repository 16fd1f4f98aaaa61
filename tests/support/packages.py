"""The packages whose code is looked through by tests: every one but `autodata` itself, from pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FOLDERS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-dir"]

PACKAGES = tuple(
    folder for name, folder in sorted(_FOLDERS.items()) if name.count(".") == 1 and name != "autodata.examples"
)
"""Folders of the packages right below `autodata`; each has the name of its package."""
