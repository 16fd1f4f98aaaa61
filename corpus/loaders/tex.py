"""LaTeX: its body with Markdown's headings, without comments; what is printed as it stands keeps all its signs."""

from __future__ import annotations

import re
from typing import Final

VERBATIM: Final = frozenset({"verbatim", "verbatim*", "Verbatim", "lstlisting", "minted", "alltt"})
_BEGIN: Final = re.compile(r"\\begin\{([A-Za-z]{1,20}\*?)\}")
_SIGN: Final = re.compile(r"\\(?:verb\*?|lstinline|url|path|href|\W)|%")
"""Where a line may hold a `%`: a comment begins, or it is a sign among others."""


def without_comments(text: str) -> str:
    """Return LaTeX without its comments. Lines that are nothing else are gone whole, as they are for LaTeX."""
    lines: list[str] = []
    inside = ""
    for line in text.split("\n"):
        if inside:
            lines.append(line)
            inside = "" if f"\\end{{{inside}}}" in line else inside
            continue
        kept = _before_comment(line)
        if kept or not line.strip():
            lines.append(kept)
        begun = [name for name in _BEGIN.findall(kept) if name in VERBATIM]
        if begun and f"\\end{{{begun[-1]}}}" not in kept.rpartition("\\begin{")[2]:
            inside = begun[-1]
    return "\n".join(lines)


def _before_comment(line: str) -> str:
    """Return what stands before a line's comment, without the blanks there; the line itself where it has none."""
    end = 0
    for match in _SIGN.finditer(line):
        if match.start() < end:
            continue
        if match[0] == "%":
            return line[: match.start()].rstrip()
        end = _after(line, match)
    return line


def _after(line: str, match: re.Match[str]) -> int:
    """Return where what a command prints as it stands ends: behind its delimiter or its brace."""
    start = match.end()
    name = match[0].removeprefix("\\").rstrip("*")
    if name in {"verb", "lstinline"} and start < len(line) and not line[start].isalnum():
        closing = "}" if line[start] == "{" else line[start]
    elif name in {"url", "path", "href"} and line[start : start + 1] == "{":
        closing = "}"
    else:
        return start
    found = line.find(closing, start + 1)
    return len(line) if found < 0 else found + 1
