"""JSON Schemas of pydantic models in the two forms that models and servers want."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import lru_cache
from typing import Any, Final

from pydantic import BaseModel

Schema = dict[str, Any]

_MAPS: Final = frozenset({"properties", "$defs", "patternProperties"})
_LISTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE: Final = frozenset({"items", "additionalProperties"})
_REF: Final = "#/$defs/"
_KEPT: Final = 256
"""How many classes' schemas are kept: more than a run asks for, and a bound on classes made for one candidate each."""
_WIRE_KEYWORDS: Final = (
    _MAPS - {"patternProperties"}
    | _LISTS
    | _SINGLE
    | {
        *("$ref", "const", "description", "enum", "required", "type"),
        *("exclusiveMaximum", "exclusiveMinimum", "maxItems", "maximum", "minItems", "minimum", "multipleOf"),
    }
)


def inlined(schema: type[BaseModel]) -> Schema:
    """Return a model's JSON Schema with definitions put where they are used, save for recursive ones.

    Titles are dropped but for the model's own name at the top, and docstrings, which speak to programmers. Keywords
    are sorted, properties are not: they keep the order of their declaration, in which models answer. What is returned
    is the caller's own to change.
    """
    return deepcopy(_inlined(schema))


@lru_cache(maxsize=_KEPT)
def _inlined(schema: type[BaseModel]) -> Schema:
    """Return what `inlined` does, made once a class: nobody may change it."""
    whole = schema.model_json_schema()
    definitions: dict[str, Schema] = whole.pop("$defs", {})
    recursive = {name for name in definitions if name in _reachable(definitions[name], definitions)}

    def expand(node: Schema) -> Schema:
        name = _ref_name(node)
        if name is not None and name not in recursive:
            node = {**definitions[name], **{key: value for key, value in node.items() if key != "$ref"}}
            return expand(node)
        dropped = {"title", "discriminator"} | ({"description"} if node.keys() & {"properties", "enum"} else set())
        kept = {key: value for key, value in node.items() if key not in dropped}
        return _mapped(dict(sorted(kept.items())), expand)

    root = _ref_name(whole)
    top = expand(definitions[root] if root is not None else whole)
    used = sorted(_reachable(top, definitions) & recursive)
    parts = {**top, "title": schema.__name__}
    if used:
        parts["$defs"] = {name: expand(definitions[name]) for name in used}
    return dict(sorted(parts.items()))


def wire_form(schema: type[BaseModel], *, text_limits: bool = False) -> tuple[Schema, bool]:
    """Return the schema to send to a server for guided output, and whether it is strict in OpenAI's sense.

    Every property is required and no other is allowed. Unless `text_limits`, limits on texts are left out, because some
    servers refuse them or compile them into huge grammars: validation sees to them afterwards. What is returned is the
    caller's own to change.
    """
    form, strict = _wire_form(schema, text_limits)
    return deepcopy(form), strict


@lru_cache(maxsize=_KEPT)
def _wire_form(schema: type[BaseModel], text_limits: bool) -> tuple[Schema, bool]:
    """Return what `wire_form` does, made once a class: nobody may change it."""
    keywords = _WIRE_KEYWORDS | ({"maxLength"} if text_limits else set())

    def close(node: Schema) -> Schema:
        if "$ref" in node:
            return {"$ref": node["$ref"]}
        kept = {("anyOf" if key == "oneOf" else key): value for key, value in node.items() if key in keywords}
        if "properties" in kept or kept.get("additionalProperties") is False:
            kept.setdefault("properties", {})
            kept["required"] = list(kept["properties"])
            kept.setdefault("additionalProperties", False)
        return _mapped(kept, close)

    form = close(_inlined(schema))
    return form, form.get("type") == "object" and _is_strict(form)


def _is_strict(node: Schema) -> bool:
    """Whether a schema and all within it say exactly which keys and types there are."""
    if node.get("type") == "object" and node.get("additionalProperties") is not False:
        return False
    if "prefixItems" in node or "allOf" in node or not node.keys() & {"type", "enum", "const", "anyOf", "$ref"}:
        return False
    if node.get("type") == "array" and "items" not in node:
        return False
    return all(_is_strict(child) for child in _children(node))


def _mapped(node: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Return a schema with its direct subschemas changed; data such as defaults and enums stays untouched."""
    out: Schema = {}
    for key, value in node.items():
        if key in _MAPS:
            out[key] = {name: change(child) for name, child in value.items()}
        elif key in _LISTS:
            out[key] = [change(child) for child in value]
        elif key in _SINGLE and isinstance(value, dict):
            out[key] = change(value)
        else:
            out[key] = value
    return out


def _children(node: Schema) -> list[Schema]:
    found: list[Schema] = []

    def collect(child: Schema) -> Schema:
        found.append(child)
        return child

    _mapped(node, collect)
    return found


def _ref_name(node: Schema) -> str | None:
    ref = node.get("$ref")
    return ref.removeprefix(_REF) if isinstance(ref, str) else None


def _reachable(node: Schema, definitions: Mapping[str, Schema]) -> set[str]:
    """Return the names of all definitions that a schema refers to, through others too."""
    reached: set[str] = set()
    waiting = [node]
    while waiting:
        current = waiting.pop()
        name = _ref_name(current)
        if name is not None and name not in reached:
            reached.add(name)
            waiting.append(definitions[name])
        waiting.extend(_children(current))
    return reached
