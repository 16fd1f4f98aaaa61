"""The parts of docs/benchmarks.md: each is written by the measurement that it is of, and stands between two marks."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "benchmarks.md"


def put(name: str, text: str, page: str) -> str:
    """Return a page with the part of a name as it is now, at the end where the page has none of that name."""
    part = f"<!-- generated: {name} -->\n{text}<!-- end: {name} -->\n"
    known = re.compile(rf"<!-- generated: {name} -->\n.*?<!-- end: {name} -->\n", re.DOTALL)
    if known.search(page):
        return known.sub(lambda _: part, page)
    return f"{page}\n{part}" if page else part


def part_of(name: str, page: str) -> str:
    """Return the part of a name. Raises KeyError where the page has none."""
    found = re.search(rf"<!-- generated: {name} -->\n(.*?)<!-- end: {name} -->\n", page, re.DOTALL)
    if found is None:
        raise KeyError(name)
    return found[1]


def write(name: str, text: str) -> None:
    """Write a part of the page."""
    PAGE.write_text(put(name, text, PAGE.read_text("utf-8")), "utf-8")


def commit_of_now() -> str:
    """Return the commit that is checked out, in ten digits."""
    revision = ["git", "rev-parse", "--short=10", "HEAD"]
    return subprocess.run(revision, check=True, stdout=subprocess.PIPE, text=True, cwd=DOCS.parent).stdout.strip()
