"""What a page or an Office file shows by its looks, as text: raised and lowered letters, formulas, cells over rows."""

from __future__ import annotations

import re
from typing import Any, Final

from autodata.corpus.loaders.formulas import mathml_text

_ORDINALS: Final = frozenset({*"a o e º ª st nd rd th er re ère ème nd tm sm ® ™ © * † ‡ §".split()})
"""What is raised without being a power: `1st`, `Autodata™`."""
_ONE: Final = re.compile(r"[-+−–]?[\w.,]+")
_ELEMENT: Final = re.compile(r"(?:[A-Z][a-z]?|[)\]])$")
"""What stands before the number of a chemical formula: H2O keeps its usual form."""
_HIDDEN: Final = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_MOST_SPAN: Final = 1_000


def raised(text: str) -> str:
    """Return raised letters as text: `10` and a raised `5` are `10^5`, and never 105."""
    inner = text.strip()
    if not inner or inner.casefold() in _ORDINALS or inner[0] in "[(^":
        return text
    return text.replace(inner, f"^{inner}" if _ONE.fullmatch(inner) else f"^({inner})", 1)


def lowered(text: str, before: str) -> str:
    """Return lowered letters as text: `x_i`, and `H2O` as it is usual."""
    inner = text.strip()
    if not inner or inner[0] in "[(_" or (inner.isdigit() and _ELEMENT.search(before)):
        return text
    return text.replace(inner, f"_{inner}" if _ONE.fullmatch(inner) else f"_({inner})", 1)


def spell_out(soup: Any) -> None:
    """Change a page, of BeautifulSoup, so that its text alone says what it shows, and what it hides is gone."""
    _spell_formulas(soup)
    for element in soup.find_all(lambda one: one.has_attr("hidden") or _HIDDEN.search(str(one.get("style") or ""))):
        element.extract()
    for element in soup.find_all(["sup", "sub"]):
        text, before = element.get_text(), element.previous_sibling
        preceding = before if isinstance(before, str) else before.get_text() if before is not None else ""
        spelled = raised(text) if element.name == "sup" else lowered(text, preceding[-3:])
        if spelled != text:
            element.replace_with(spelled)
    for table in soup.find_all("table"):
        _fill_spans(table)


def _spell_formulas(soup: Any) -> None:
    """Put each formula as LaTeX in the place of all that draws it."""
    for script in soup.find_all("script", type=re.compile("^math/tex")):
        script.replace_with(f"${' '.join(script.get_text().split())}$")
        for drawn in soup.find_all(class_=re.compile("^MathJax")):
            drawn.extract()
    for container in soup.find_all("mjx-container"):
        if (math := container.find("math")) is not None:
            container.replace_with(math.extract())
    for element in soup.find_all(class_=["katex", "mwe-math-element"]):
        if (math := element.find("math")) is not None:  # all else of it draws the same formula again
            element.replace_with(math.extract())
    for math in soup.find_all("math"):
        if text := mathml_text(math):
            math.replace_with(f"${text}$")


def _fill_spans(table: Any) -> None:
    """Repeat cells that reach over several rows in each of them, so that all cells stand in their own columns."""
    open_cells: dict[int, tuple[int, Any]] = {}
    for row in [row for row in table.find_all("tr") if row.find_parent("table") is table]:
        column = 0
        for cell in row.find_all(["td", "th"], recursive=False):
            column = _repeated(row, cell, column, open_cells)
            width, height = _span(cell, "colspan"), _span(cell, "rowspan")
            if height > 1:
                del cell["rowspan"]
                open_cells |= {column: (height - 1, cell)}
            column += width
        _repeated(row, None, column, open_cells)


def _repeated(row: Any, before: Any, column: int, open_cells: dict[int, tuple[int, Any]]) -> int:
    """Put copies of the cells that reach into a row at a column before a cell of it; return the column behind them."""
    while column in open_cells:
        left, cell = open_cells.pop(column)
        if left > 1:
            open_cells[column] = (left - 1, cell)
        copied = cell.__copy__()
        if before is None:
            row.append(copied)
        else:
            before.insert_before(copied)
        column += _span(cell, "colspan")
    return column


def _span(cell: Any, name: str) -> int:
    text = str(cell.get(name) or "1").strip()
    return min(_MOST_SPAN, max(1, int(text))) if text.isascii() and text.isdigit() and len(text) < 6 else 1
