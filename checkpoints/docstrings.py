"""What the texts below a class's attributes say, read when they are asked for.

Pydantic's `use_attribute_docstrings` reads them from the sources whenever a class is made, which costs every command
more than all else that it imports of this package.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise

from pydantic import BaseModel


@cache
def attribute_docstrings(kind: type) -> Mapping[str, str]:
    """Return the text below each attribute of a class by the attribute's name, those of its bases too.

    An attribute without one is left out, and so are those of a class whose source is not to be found.
    """
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if body := _body(one.__module__, one.__qualname__):
            found |= dict(_texts(body))
    return found


def description(model: type[BaseModel], name: str) -> str:
    """Return what is said of a field of a model, on one line: its own description, or else the text below it."""
    return " ".join((model.model_fields[name].description or attribute_docstrings(model).get(name, "")).split())


@cache
def _classes(module: str) -> Mapping[str, list[ast.stmt]]:
    """Return the bodies of a module's classes by their qualified names."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError, SyntaxError, KeyError):
        return {}
    found: dict[str, list[ast.stmt]] = {}

    def look(body: list[ast.stmt], before: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                found[f"{before}{node.name}"] = node.body
                look(node.body, f"{before}{node.name}.")

    look(tree.body, "")
    return found


def _body(module: str, name: str) -> list[ast.stmt] | None:
    return None if module == "builtins" or module.startswith("pydantic.") else _classes(module).get(name)


def _texts(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node, below in pairwise(body):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield node.target.id, inspect.cleandoc(below.value.value)
