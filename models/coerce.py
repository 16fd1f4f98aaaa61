"""What a reply schema takes besides its exact form: every field says it with a marker in its annotation.

Models write too long, or wrap the same thing differently. What decides nothing is shortened and never refused; a shape
that can mean one thing only is read as that; all else reaches pydantic as it came and is refused there, so that the
model is asked again. Only reading is lenient: the JSON Schema that is sent stays the strict one.

A schema that is no ReplyModel, of a custom task type say, has no markers: `lenient` reads by the types of its fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, GetCoreSchemaHandler, RootModel, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from autodata.models.markers import Advisory, Choice, Flag, Gist, Integer, Listed, Marker, Ordinal, Prose, Tag
from autodata.models.values import (
    BULLET,
    decoded,
    flag,
    folded,
    integer,
    is_single,
    ordinal,
    sole,
    text_of,
    true_for_number,
)

__all__ = [
    "Advisory",
    "Choice",
    "Flag",
    "Gist",
    "Integer",
    "Items",
    "Listed",
    "Ordinal",
    "Prose",
    "ReplyModel",
    "Tag",
    "attempts",
    "key_of",
    "knows",
    "lenient",
]


class ReplyModel(BaseModel):
    """Base of what a model is asked for: it takes every shape that leaves no doubt about the meaning.

    These are keys in other case, with spaces, dashes or a leading `is`; an object in a list of one, in a string, or
    alone under another key; a bare list, a single object or objects by number where all that is needed is one list; a
    bare value where all that is needed is one; a missing advisory text. A key that is given twice with two values is
    refused.
    """

    also_called: ClassVar[Mapping[str, frozenset[str]]] = {}
    """Other names of a whole number, folded: they count only where a whole number stands under them."""
    second_best: ClassVar[type[ReplyModel] | None] = None
    """What a reply may be read as when no reply meets this schema in full: what decides is there, a proof is not."""
    bare: ClassVar[bool] = False
    """Whether a local server, which keeps to what it is asked for, is asked for the value of the only field alone."""

    @model_validator(mode="before")
    @classmethod
    def _read_shape(cls, value: Any) -> Any:
        return _without_true_for_number(cls, shaped(cls, value))

    def decided(self) -> dict[str, Any]:
        """Return what the reply decides: the values of its needed fields."""
        return {name: getattr(self, name) for name in _needed(type(self))}


@dataclass(frozen=True)
class Items(Marker):
    """A list of objects: a single one, or objects by number, too."""

    optional: bool = False
    """Whether null is the empty list."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        item = get_args(source)[0]

        def listed(value: Any) -> Any:
            return [] if value is None and self.optional else _items(item, value)

        return core_schema.no_info_before_validator_function(listed, handler(source))


def shaped(schema: type[BaseModel], value: Any) -> Any:
    """Return the keys and values of a reply under the schema's own names, or the value as it is.

    Raises ValueError for a key that is given twice, with two values.
    """
    value, needed = decoded(value), _needed(schema)
    items = _key(schema, needed[0]) if _item(schema) else None
    if isinstance(value, list) and len(value) == 1 and knows(schema, value[0]):
        value = value[0]
    if isinstance(value, list) and items:
        value = {items: value}
    elif isinstance(value, str | int | float) and len(needed) == 1 and not items:
        value = {_key(schema, needed[0]): value}
    if not isinstance(value, dict):
        return value
    if not knows(schema, value):
        inner = next(iter(value.values())) if len(value) == 1 else None
        if knows(schema, inner) or (isinstance(inner, dict | list) and not items):
            return shaped(schema, inner)
        if not items:
            return value
        value = {items: value}
    return dict.fromkeys(_spared(schema)) | _renamed(schema, value)


def _renamed(schema: type[BaseModel], value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with its keys spelled as the schema has them. Raises ValueError for two values of one key."""
    out: dict[str, Any] = {}
    for key, one in value.items():
        name = key_of(schema, key) or key
        if name in out and (out[name] != one or isinstance(out[name], bool) is not isinstance(one, bool)):
            raise ValueError(f"{name} is given twice, with two values")
        out[name] = one
    for name, others in _also(schema).items():
        said = [one for key, one in value.items() if folded(key) in others]
        found = {integer(one) if ordinal(one) is None else ordinal(one) for one in said}
        if name not in out and len(found) == 1 and None not in found:
            out[name] = found.pop()
    return out


def _items(item: Any, value: Any) -> Any:
    """Return a list of objects from one of the shapes in which it may come, or the value as it is."""
    value = decoded(value)
    if not (isinstance(item, type) and issubclass(item, BaseModel)):
        return value
    numbered = "number" in item.model_fields
    if isinstance(value, list):
        return [
            _of_number(item, *next(iter(one.items())))
            if numbered and is_single(one) and not knows(item, one) and ordinal(next(iter(one))) is not None
            else one
            for one in value
        ]
    if not isinstance(value, dict):
        return value
    if knows(item, value):
        return [value]
    by_number = {key: one for key, one in value.items() if ordinal(key) is not None}
    rest = [one for key, one in value.items() if key not in by_number]
    if by_number and not any(not numbered or isinstance(one, dict | list | bool) for one in rest):
        return [_of_number(item, key, by_number[key]) for key in sorted(by_number, key=lambda key: ordinal(key) or 0)]
    return _items(item, rest[0]) if len(rest) == 1 and not by_number and isinstance(rest[0], dict | list) else value


def _of_number(item: type[BaseModel], key: str, value: Any) -> Any:
    """Return the object that stands under a number, with the number in it. Raises ValueError for two numbers."""
    if "number" not in item.model_fields:
        return value
    number, needed = ordinal(key), [name for name in _needed(item) if name != "number"]
    if not isinstance(value, dict):
        return {"number": number, needed[0]: value} if len(needed) == 1 else value
    own = _renamed(item, value)
    if "number" in own and ordinal(own["number"]) != number:
        raise ValueError(f"number {number} is numbered otherwise within")
    return {**own, "number": number}


# What follows from a schema alone is worked out once a schema: a candidate is read at every step of its round.
@lru_cache(maxsize=256)
def _needed(schema: type[BaseModel]) -> tuple[str, ...]:
    """Return the fields without which a reply decides nothing."""
    return tuple(
        name for name, field in schema.model_fields.items() if field.is_required() and not _advises(schema, name)
    )


@lru_cache(maxsize=256)
def _spared(schema: type[BaseModel]) -> tuple[str, ...]:
    """Return the fields that may be missing, because their markers take anything."""
    needed = _needed(schema)
    return tuple(name for name in schema.model_fields if name not in needed and _advises(schema, name))


def _advises(schema: type[BaseModel], name: str) -> bool:
    """Whether a field may be missing, because its marker takes anything."""
    return any(
        (isinstance(mark, Advisory) and not isinstance(mark, Gist)) or (isinstance(mark, Listed) and not mark.needed)
        for mark in schema.model_fields[name].metadata
    )


@lru_cache(maxsize=256)
def _item(schema: type[BaseModel]) -> type[BaseModel] | None:
    """Return what a schema wants a list of, where that list is all that it needs; else None."""
    needed = _needed(schema)
    if len(needed) != 1:
        return None
    field = schema.model_fields[needed[0]]
    if issubclass(schema, ReplyModel) and not any(isinstance(mark, Items) for mark in field.metadata):
        return None
    return _model(_element(field.annotation))


def _also(schema: type[BaseModel]) -> Mapping[str, frozenset[str]]:
    return schema.also_called if issubclass(schema, ReplyModel) else {}


@lru_cache(maxsize=256)
def _others(schema: type[BaseModel]) -> frozenset[str]:
    """Return all other names of whole numbers, folded."""
    return frozenset[str]().union(*_also(schema).values())


@lru_cache(maxsize=256)
def _exact(schema: type[BaseModel]) -> frozenset[str]:
    """Return the fields that pydantic takes under their own name and no other."""
    return frozenset(name for name, field in schema.model_fields.items() if not _aliases(field))


def _aliases(field: FieldInfo) -> list[str]:
    """Return the keys under which pydantic takes a field, where it has other ones than its name."""
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [choice for choice in choices if isinstance(choice, str)]


def _key(schema: type[BaseModel], name: str) -> str:
    """Return the key under which pydantic takes a field."""
    return next(iter(_aliases(schema.model_fields[name])), name)


@lru_cache(maxsize=256)
def _keys(schema: type[BaseModel]) -> Mapping[str, str]:
    """Return the keys of a schema by their exact and their folded spelling."""
    keys: dict[str, str] = {}
    for name, field in schema.model_fields.items():
        keys |= {folded(alias): _key(schema, name) for alias in (name, *_aliases(field))}
    return keys | {alias: alias for field in schema.model_fields.values() for alias in _aliases(field)}


def key_of(schema: type[BaseModel], key: str) -> str | None:
    """Return the key of the schema that a key names, however it is spelled; None where it names none."""
    if key in _exact(schema):
        return key
    keys, plain = _keys(schema), folded(key)
    return keys.get(key) or keys.get(plain) or keys.get(plain.removeprefix("is"))


def knows(schema: type[BaseModel], value: Any) -> bool:
    """Whether a value is an object with a key of the schema, in any spelling that is read as one."""
    others = _others(schema)
    return isinstance(value, dict) and any(key_of(schema, key) or folded(key) in others for key in value)


def attempts(schema: type[BaseModel], value: Any) -> bool:
    """Whether a value is an attempt at an answer, however wrong: it has a key of the schema where one is read.

    So has a list of what the schema wants a list of, and one by number. Any value is one where the schema is a value.
    """
    if issubclass(schema, RootModel) or knows(schema, value):
        return True
    item = _item(schema)
    if isinstance(value, list):
        return any(isinstance(one, dict) and (attempts(schema, one) or knows(item or schema, one)) for one in value)
    if not isinstance(value, dict) or not value:
        return False
    if item and (knows(item, value) or all(ordinal(key) is not None for key in value)):
        return True
    return is_single(value) and isinstance(inner := decoded(next(iter(value.values()))), dict) and knows(schema, inner)


def lenient(schema: type[BaseModel], value: Any) -> Any:
    """Return a reply as a schema without markers wants it: shapes and values that leave no doubt are put right.

    By the type of a field: yes or no, a whole number ("5 points"), a word of a Literal or Enum in any case, a text in a
    list of one, a list from a single entry, lines, or entries by number; models within likewise. Nothing is shortened,
    and nothing made up. A ReplyModel says all this itself, so it is left alone, as are fields with a marker.
    Raises ValueError for a key that is given twice, with two values, and for true or false where a number is wanted.
    """
    if issubclass(schema, ReplyModel | RootModel):
        return value
    found = shaped(schema, value)
    if not isinstance(found, dict):
        return found
    fields = {_key(schema, name): (name, field) for name, field in schema.model_fields.items()}
    _without_true_for_number(schema, found)
    return {
        key: _fitted(fields[key][1].annotation, fields[key][1].metadata, one, fields[key][0]) if key in fields else one
        for key, one in found.items()
    }


def _without_true_for_number(schema: type[BaseModel], value: Any) -> Any:
    """Return a value. Raises ValueError where a field without a marker wants a number and is given true or false."""
    if isinstance(value, dict):
        for name, field in schema.model_fields.items():
            marked = any(isinstance(mark, Marker) for mark in field.metadata)
            if not marked and true_for_number(field.annotation, value.get(_key(schema, name))):
                raise ValueError(f"{name}: a number is needed, not true or false")
    return value


def _fitted(wanted: Any, metadata: Iterable[Any], value: Any, name: str) -> Any:  # noqa: PLR0911 - one return a type
    """Return a value as a type wants it, or as it came."""
    if any(isinstance(mark, Marker) for mark in metadata):
        return value
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin is Annotated:
        return _fitted(parts[0], parts[1:], value, name)
    if origin in {Union, UnionType}:
        some = [part for part in parts if part is not NoneType]
        return value if value is None or len(some) > 1 else _fitted(some[0], (), value, name)
    if model := _model(wanted):
        return lenient(model, value)
    if (element := _element(wanted)) is not None:
        return _listed(element, value, name)
    value = sole(value)
    if wanted is bool:
        found: Any = flag(value, name)
        return value if found is None else found
    if wanted is int and not isinstance(value, bool):
        found = integer(value)
        return value if found is None else found
    if wanted is str and isinstance(value, int | float) and not isinstance(value, bool):
        return text_of(value, "")
    words = parts if origin is Literal else [one.value for one in wanted] if _is_enum(wanted) else ()
    if isinstance(value, str) and words:
        return {folded(word): word for word in words if isinstance(word, str)}.get(folded(value), value)
    return value


def _listed(element: Any, value: Any, name: str) -> Any:
    """Return a list of entries that each fit, or the value as it came."""
    if model := _model(element):
        value = _items(model, value)
    else:
        value = decoded(value)
        if isinstance(value, dict) and value and all(ordinal(key) is not None for key in value):
            value = [value[key] for key in sorted(value, key=lambda key: ordinal(key) or 0)]
        elif isinstance(value, str):
            value = [line for line in (BULLET.sub("", line.strip()).strip() for line in value.splitlines()) if line]
        elif isinstance(value, int | float):
            value = [value]
    return [_fitted(element, (), one, name) for one in value] if isinstance(value, list) else value


def _element(wanted: Any) -> Any:
    """Return of what a type is a list of any length; None for another type."""
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin is list or (origin is tuple and len(parts) == 2 and parts[1] is Ellipsis):
        return parts[0]
    return None


def _model(wanted: Any) -> type[BaseModel] | None:
    """Return a type, without what annotates it, where it is a model; else None."""
    if get_origin(wanted) is Annotated:
        wanted = get_args(wanted)[0]
    return wanted if isinstance(wanted, type) and issubclass(wanted, BaseModel) else None


def _is_enum(wanted: Any) -> bool:
    return isinstance(wanted, type) and issubclass(wanted, Enum)
