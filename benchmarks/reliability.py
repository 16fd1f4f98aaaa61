"""The parts of docs/reliability.md that measurements write, each by the command that ran it."""

from __future__ import annotations

from benchmarks.page import DOCS, put

__all__ = ["DOCS", "RELIABILITY", "write"]

RELIABILITY = DOCS / "reliability.md"


def write(name: str, text: str) -> None:
    """Write a part of the page."""
    RELIABILITY.write_text(put(name, text, RELIABILITY.read_text("utf-8")), "utf-8")
