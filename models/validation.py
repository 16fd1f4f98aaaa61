"""What pydantic finds wrong with a configuration, said in one line that names the key."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

SHOWN = 3
"""Problems reported at once."""


def problems(error: ValidationError, model: type[BaseModel], under: str = "", *, repeat: bool = True) -> str:
    """Return what is wrong in one line; `under` is the key that holds the model.

    With `repeat=False` no value that was given stands in it: for what callers of a server send.
    """
    return "; ".join(_problem(item, model, under, repeat=repeat) for item in error.errors()[:SHOWN])


def _problem(item: Any, model: type[BaseModel], under: str, *, repeat: bool) -> str:
    where = ".".join([under] * bool(under) + [str(part) for part in item["loc"]])
    if item["type"] == "extra_forbidden":
        known = ", ".join(_siblings(model, [str(part) for part in item["loc"][:-1]]))
        return (f"unknown key {where!r}" if repeat else "unknown key") + (f": known here are {known}" if known else "")
    message = item["msg"].removeprefix("Value error, ")
    if item["type"].startswith("value_error"):
        return f"{where}: {message}" if where else message
    return f"{where}: {message}, got {item['input']!r}" if repeat else f"{where}: {message}".removeprefix(": ")


def _siblings(model: Any, path: list[str]) -> list[str]:
    """Return the keys that are known beside a wrong one."""
    for part in path:
        fields = getattr(model, "model_fields", {})
        model = fields[part].annotation if part in fields else None
    return sorted(getattr(model, "model_fields", {}))
