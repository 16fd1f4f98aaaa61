"""Jupyter notebooks: text as Markdown, code in fences, and what it printed, in the order of the cells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from autodata.checkpoints.records import Skipped
from autodata.corpus.loaders.base import File, Loader, Raw, Reading, Unreadable

MOST_OUTPUT: Final = 2_000
"""Characters of what one cell printed that are kept; a note names longer ones."""
_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]{0,40}[A-Za-z]")
_TICKS: Final = re.compile("`{3,}")


def load_notebook(file: File, reading: Reading) -> Iterator[Raw | Skipped]:
    """Yield a notebook as Markdown. Pictures and what is drawn are left out."""
    text, guessed = file.text(reading)
    try:
        book: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable("not a notebook: it is not JSON") from error
    if isinstance(book, dict) and isinstance(sheets := book.get("worksheets"), list):  # before version 4
        cells: Any = [cell for sheet in sheets if isinstance(sheet, dict) for cell in sheet.get("cells") or []]
    else:
        cells = book.get("cells") if isinstance(book, dict) else None
    if not isinstance(cells, list):
        raise Unreadable("not a notebook: it has no cells")
    language = _language(book)
    parts, cut = [], 0
    for cell in cells:
        if isinstance(cell, Mapping):
            part, was_cut = _cell(cell, language, shown=reading.spelled)
            parts.append(part)
            cut += was_cut
    notes = [guessed] if guessed else []
    if cut:
        what = "1 cell" if cut == 1 else f"{cut:,} cells"
        notes.append(f"of what {what} printed the first {MOST_OUTPUT:,} characters are kept")
    yield Raw(file.name, "\n\n".join(filter(None, parts)), note="; ".join(notes))


def _language(book: Mapping[str, Any]) -> str:
    about = book.get("metadata")
    info = about.get("language_info") if isinstance(about, Mapping) else None
    name = info.get("name") if isinstance(info, Mapping) else None
    return name if isinstance(name, str) and name.isalnum() else "python"


def _cell(cell: Mapping[str, Any], language: str, *, shown: bool) -> tuple[str, bool]:
    """Return a cell as Markdown, and whether what it printed was cut; `shown`: printed as a terminal shows it."""
    source = _joined(cell.get("source", cell.get("input"))).strip("\n")
    if cell.get("cell_type") != "code":
        return source, False
    outputs = list(filter(None, map(_printed, cell.get("outputs") or [])))
    printed = "\n".join(map(_as_shown, outputs) if shown else outputs).strip("\n")
    fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(f"{source}\n{printed}")), default=0))
    parts = [f"{fence}{language}\n{source}\n{fence}"] if source.strip() else []
    if printed.strip():
        kept = printed[:MOST_OUTPUT].rstrip()
        parts.append(f"Output:\n\n{fence}\n{kept}{' …' if len(printed) > MOST_OUTPUT else ''}\n{fence}")
    return "\n\n".join(parts), len(printed) > MOST_OUTPUT


def _printed(output: object) -> str:
    if not isinstance(output, Mapping):
        return ""
    data = output.get("data")
    if isinstance(data, Mapping):
        return _joined(data.get("text/plain"))
    if output.get("output_type") in {"error", "pyerr"}:
        return f"{output.get('ename', '')}: {output.get('evalue', '')}".strip(": ")
    return _joined(output.get("text"))


def _as_shown(printed: str) -> str:
    """Return what was printed without colours, and of a line that was written over, such as a bar, what came last."""
    plain = _COLOURS.sub("", printed).replace("\r\n", "\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in plain.split("\n"))


def _joined(value: object) -> str:
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


NOTEBOOK = Loader(load_notebook, "Jupyter notebooks")
