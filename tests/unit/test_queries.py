"""SQL has one place: the package `checkpoints`."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.packages import PACKAGES, ROOT

SQL = re.compile(
    r"\b(select\b.+\bfrom\s+\w|insert\s+(or\s+\w+\s+)?into\s|update\s+\w+\s+set\s|delete\s+from\s|alter\s+table\s)",
    re.IGNORECASE | re.DOTALL,
)


def _statements(text: str) -> list[str]:
    """Return the SQL of a module: strings that begin like a statement, docstrings aside."""
    tree = ast.parse(text)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
    ]
    return [text for text in strings if SQL.match(text.lstrip())]


@pytest.mark.slow  # it parses every module
def test_sql_stands_in_checkpoints_alone() -> None:
    holding = {
        path.relative_to(ROOT).as_posix()
        for package in ("api", *PACKAGES)
        for path in (ROOT / package).rglob("*.py")
        if _statements(path.read_text("utf-8"))
    }
    assert {name for name in holding if not name.startswith("checkpoints/")} == set()
    assert "checkpoints/queries/rounds.py" in holding  # the search itself finds what there is


def test_a_statement_is_found_wherever_it_stands_in_a_module() -> None:
    assert _statements('X = "select a from b"') == ["select a from b"]
    assert _statements('async def f(l):\n    "Select from what is."\n    return await l.read("DELETE FROM calls")') == [
        "DELETE FROM calls"
    ]
