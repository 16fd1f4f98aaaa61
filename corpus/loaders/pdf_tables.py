"""Tables of a PDF's page: rows of cells that stand in line, read from the page as it is laid out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

LEAST_ROWS: Final = 3
"""Rows in line that make a table."""
LONGEST_CELL: Final = 40
"""Characters of a cell in the middle of a table's cells by length: columns of prose have longer lines."""

_GAP: Final = re.compile(r" {2,}|\t+")
_CELL: Final = re.compile(r"\S+(?: \S+)*")


def with_tables(plain: str, laid_out: str) -> str:
    """Return a page's text with its tables as rows of cells parted by `|`; the page as it was where it has none.

    `laid_out` is the same page with blanks for gaps. It is used only where the page has tables, and nothing but them
    has gaps: of columns of prose it would read across.
    """
    lines = laid_out.split("\n")
    runs = _runs(lines)
    tables = [run for run in runs if _is_table(lines[slice(*run)])]
    if not tables:
        return plain
    inside = {n for run in tables for n in range(*run)}
    if sum(len(_cells(line)) > 1 for n, line in enumerate(lines) if n not in inside) > len(inside):
        return plain
    if sorted(_letters(laid_out)) != sorted(_letters(plain)):
        return plain  # one of the two lost something: the plain text is the one that people know
    found: list[str] = []
    for n, line in enumerate(lines):
        if n in inside:
            found += [""] if any(n == start for start, _ in tables) and found and found[-1] else []
            found.append(f"| {' | '.join(_in_columns(line, _columns(lines, n, tables)))} |")
            found += [""] if any(n == end - 1 for _, end in tables) else []
        else:
            found.append(_GAP.sub(" ", line.strip()))
    return "\n".join(found).strip()


def _letters(text: str) -> str:
    return "".join(text.split())


def _cells(line: str) -> list[tuple[int, str]]:
    """Return the cells of a line, each with the column at which it begins."""
    return [(match.start(), match[0]) for match in _CELL.finditer(line)]


def _runs(lines: Sequence[str]) -> list[tuple[int, int]]:
    """Return runs of lines that have two cells or more, from and to."""
    runs: list[tuple[int, int]] = []
    start: int | None = None
    for n, line in enumerate([*lines, ""]):
        if len(_cells(line)) > 1:
            start = n if start is None else start
        elif start is not None:
            runs.append((start, n))
            start = None
    return runs


def _is_table(lines: Sequence[str]) -> bool:
    """Whether lines are rows of one table: enough of them, with short cells, most of which begin or end in line."""
    if len(lines) < LEAST_ROWS:
        return False
    rows = [_cells(line) for line in lines]
    lengths = sorted(len(text) for row in rows for _, text in row)
    if lengths[len(lengths) // 2] > LONGEST_CELL or max(map(len, rows)) < 2:
        return False
    starts = [start for row in rows for start, _ in row[1:]]
    ends = [start + len(text) for row in rows for start, text in row[1:]]
    in_line = max(_shared(starts, len(rows)), _shared(ends, len(rows)))
    return in_line >= 0.6


def _shared(places: Sequence[int], rows: int) -> float:
    """Return the share of places that at least half of the rows have, within a column's width of one letter."""
    near = [sum(abs(place - other) <= 1 for other in places) for place in places]
    return sum(count >= rows / 2 for count in near) / len(places)


def _columns(lines: Sequence[str], n: int, tables: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the columns of the table that a line is in: from and to, found by what no row leaves blank."""
    start, end = next(run for run in tables if run[0] <= n < run[1])
    taken: set[int] = set()
    for line in lines[start:end]:
        for place, text in _cells(line):
            taken.update(range(place, place + len(text)))
    columns: list[tuple[int, int]] = []
    for place in sorted(taken):
        if columns and place <= columns[-1][1] + 1:
            columns[-1] = (columns[-1][0], place)
        else:
            columns.append((place, place))
    return columns


def _in_columns(line: str, columns: Sequence[tuple[int, int]]) -> list[str]:
    """Return a row's cells by column, empty where it has none; cells that share a column stand side by side."""
    if len(columns) < 2:  # cells of some rows reach over those of others: only their gaps separate them
        return [text for _, text in _cells(line)]
    row = [""] * len(columns)
    for place, text in _cells(line):
        k = next(k for k, (start, end) in enumerate(columns) if start <= place <= end)
        row[k] = f"{row[k]} {text}".strip()
    return row
