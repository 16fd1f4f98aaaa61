"""Commented TOML written from pydantic models: values, ranges, and meanings as comments."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import tomli_w
from pydantic.fields import FieldInfo

WIDTH = 110


def toml(value: Any) -> str:
    """Return a value as TOML on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {toml(item)}" for name, item in value.items()) + " }"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").strip()


def comment(text: str) -> list[str]:
    """Return a text as lines of comment; its line feeds stay."""
    wrapped = (textwrap.wrap(part, WIDTH, break_long_words=False) for part in text.split("\n"))
    return [f"# {line}" for lines in wrapped for line in lines]


def allowed(info: FieldInfo) -> str:
    """Return the values that a setting may have, where they are bounded."""
    annotation: Any = info.annotation
    if get_origin(annotation) is Literal:
        return f"One of: {', '.join(get_args(annotation))}."
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    bounds = [
        f"{sign} {value:g}"
        for item in info.metadata
        for key, sign in signs.items()
        if (value := getattr(item, key, None)) is not None
    ]
    return f"({', '.join(bounds)})" if bounds else ""
