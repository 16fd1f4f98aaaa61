"""Programs in documentation: Python blocks, each whole, with what it prints in the block below it."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

DOCS = Path(__file__).resolve().parents[2] / "docs"


@dataclass(frozen=True)
class Program:
    """One program of a page. `heading` is the section it stands in."""

    heading: str
    line: int
    text: str
    printed: str

    def __str__(self) -> str:
        return self.heading.lower().replace(" ", "-")

    def run(self) -> str:
        """Run it in this process as a script; return what it prints."""
        namespace: dict[str, Any] = {"__name__": "__main__"}
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(self.text, f"{self}:{self.line}", "exec", dont_inherit=True), namespace)
        return out.getvalue()


def programs(page: Path) -> list[Program]:
    """Return the programs of a page. Fails for one that is not followed by its output."""
    found: list[Program] = []
    heading, waiting = "", None
    tokens = MarkdownIt("commonmark").parse(page.read_text("utf-8"))
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and after:
            heading = after.content
        if token.type == "fence":
            if waiting is not None:
                assert token.info == "text", f"{page}:{waiting.map} prints nothing"
                found.append(Program(heading, (waiting.map or [0])[0] + 2, waiting.content, token.content))
            waiting = token if token.info == "python" else None
    assert waiting is None, f"the last program of {page} prints nothing"
    return found
