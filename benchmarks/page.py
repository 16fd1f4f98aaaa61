"""docs/benchmarks.md: the parts of both measurements, each as it was measured last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import calls, many_documents

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "benchmarks.md"


def figures_of(name: str) -> dict[str, Any]:
    """Return the figures in a file of docs."""
    found: dict[str, Any] = json.loads((DOCS / name).read_text("utf-8"))
    return found


def page() -> str:
    """Return the page for the figures that there are."""
    of_calls = calls.rendered(figures_of("calls.json")) if (DOCS / "calls.json").exists() else ""
    return many_documents.rendered(figures_of("many-documents.json")) + of_calls


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
