"""What a reply schema takes besides its exact form: every field says it with a marker in its annotation.

Models write too long, or wrap the same thing differently. What decides nothing is shortened and never refused; a shape
that can mean one thing only is read as that; all else reaches pydantic as it came and is refused there, so that the
model is asked again. Only reading is lenient: the JSON Schema that is sent stays the strict one.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Final, get_args

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

MAX_DEPTH: Final = 100
"""How deep the JSON within a text may be."""

_YES: Final = frozenset({"true", "yes", "y", "t", "1", "on"})
_NO: Final = frozenset({"false", "no", "n", "f", "0", "off"})
_INTEGER: Final = re.compile(r"\(?([+-]?)[ ]?(\d{1,9})(?:\.0{1,9})?[ ]?(?:points?|pts?\.?)?\)?", re.IGNORECASE)
_ORDINAL: Final = re.compile(
    r"(?:(?:criterion|criteria|item|mark|candidate|sample|answer|number|no|nr|c)[ ._:#-]{0,3})?"
    r"[#(\[]?(\d{1,9})[.):\]]{0,2}",
    re.IGNORECASE,
)
_MINUS: Final = str.maketrans({"−": "-", "–": "-"})  # noqa: RUF001
_BULLET: Final = re.compile(r"^(?:[-*•·]|\d{1,2}[.)])[ \t]{1,9}")
_EDGES: Final = " \t\r\n.,;:!*_`'\"()[]“”"


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

    @model_validator(mode="before")
    @classmethod
    def _read_shape(cls, value: Any) -> Any:
        return _shaped(cls, value)

    def decided(self) -> dict[str, Any]:
        """Return what the reply decides: the values of its needed fields."""
        return {name: getattr(self, name) for name in _needed(type(self))}


class _Marker:
    """What a field takes: `read` turns it into the exact form, and leaves alone what it does not understand."""

    def read(self, value: Any, field: str) -> Any:
        """Return the value in its exact form, or as it came."""
        raise NotImplementedError

    def advertised(self) -> dict[str, Any]:
        """Return the JSON Schema keywords that the model is told and that reading sees to."""
        return {}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Put `read` before the validation of the annotated type."""

        def before(value: Any, info: ValidationInfo) -> Any:
            return self.read(value, info.field_name or "")

        return core_schema.with_info_before_validator_function(before, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Tell the model the limits."""
        return {**handler(schema), **self.advertised()}


@dataclass(frozen=True)
class Advisory(_Marker):
    """A text that decides nothing: anything is taken, and shortened to `most` characters. It may be missing."""

    most: int
    least: int = 0
    """Asked for, and not insisted on."""

    def read(self, value: Any, field: str) -> Any:
        text = _text(value, "; ")
        return _shortened(text, self.most) if text.strip() else ""

    def advertised(self) -> dict[str, Any]:
        return {"maxLength": self.most} | ({"minLength": self.least} if self.least else {})


@dataclass(frozen=True)
class Gist(Advisory):
    """A text that must say something: anything that does is taken, and shortened."""

    least: int = 1

    def read(self, value: Any, field: str) -> Any:
        text = super().read(value, field)
        if not text:
            raise ValueError("a text is needed")
        return text


@dataclass(frozen=True)
class Prose(_Marker):
    """A text that is used whole, never shortened. A number is its digits, a list of one is what it holds."""

    joined: str | None = None
    """What stands between the parts of a list or of an object; None refuses several parts."""
    optional: bool = False
    """Whether null is the empty text."""

    def read(self, value: Any, field: str) -> Any:
        value = _sole(value)
        if value is None:
            return "" if self.optional else None
        if isinstance(value, bool) or (isinstance(value, list | dict) and (self.joined is None or not value)):
            return value
        return _text(value, self.joined or "")


class Flag(_Marker):
    """Yes or no: a boolean, 1 or 0, a plain yes or no, or the field's own name with or without a not."""

    def read(self, value: Any, field: str) -> Any:
        found = flag(value, field)
        if found is None:
            raise ValueError("true or false is needed")
        return found


class Integer(_Marker):
    """A whole number, in digits: `5`, `"+5"`, `"5 points"`, `5.0`."""

    def read(self, value: Any, field: str) -> Any:
        if isinstance(value, bool):
            raise ValueError("a whole number is needed")
        number = integer(value)
        return _sole(value) if number is None else number


class Ordinal(_Marker):
    """The number of one of several things: `1`, `"1."`, `"#1"`, `"Criterion 1"`."""

    def read(self, value: Any, field: str) -> Any:
        if isinstance(value, bool):
            raise ValueError("a whole number is needed")
        number = ordinal(value)
        return _sole(value) if number is None else number


class Choice(_Marker):
    """One of the words of a Literal, in any case and with any spaces, dashes or marks around and within it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        words = {_folded(word): word for word in get_args(source)}

        def chosen(value: Any) -> Any:
            value = _sole(value)
            return words.get(_folded(value), value) if isinstance(value, str) else value

        return core_schema.no_info_before_validator_function(chosen, handler(source))


class Tag(_Marker):
    """A snake_case word: spaces, dashes and capitals are put right."""

    def read(self, value: Any, field: str) -> Any:
        value = _sole(value)
        if not isinstance(value, str):
            return value
        plain = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
        return re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")[:60].rstrip("_")


@dataclass(frozen=True)
class Listed(_Marker):
    """A list of texts of which the first `most` are kept, each shortened: a single one, lines, texts by number too."""

    most: int
    least: int = 0
    each: int | None = None
    """The longest that an entry may be; None leaves entries alone."""
    commas: bool = True
    """Whether a comma ends an entry of a text that lists several."""
    needed: bool = False
    """Whether it is refused when missing or shorter than `least`."""

    def read(self, value: Any, field: str) -> Any:
        found = [_shortened(text, self.each) for text in self._entries(value) if text.strip()][: self.most]
        if self.needed and len(found) < self.least:
            raise ValueError(f"at least {self.least} item{'s' if self.least > 1 else ''} needed")
        return found

    def _entries(self, value: Any) -> list[str]:
        value = _decoded(value)
        if isinstance(value, dict):
            by_number = all(ordinal(key) is not None for key in value)
            value = list(value.values()) if by_number else [_text({key: one}, "; ") for key, one in value.items()]
        if isinstance(value, list | tuple):
            return [_text(next(iter(one.values())) if _is_single(one) else one, "; ").strip() for one in value]
        lines = _text(value, "; ").splitlines()
        if len(lines) == 1 and self.commas:
            lines = re.split(r"[;,]", lines[0])
        return [_BULLET.sub("", line.strip()).strip() for line in lines]

    def advertised(self) -> dict[str, Any]:
        return {"maxItems": self.most} | ({"minItems": self.least} if self.least else {})


@dataclass(frozen=True)
class Items(_Marker):
    """A list of objects: a single one, or objects by number, too."""

    optional: bool = False
    """Whether null is the empty list."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        item = get_args(source)[0]

        def listed(value: Any) -> Any:
            return [] if value is None and self.optional else _items(item, value)

        return core_schema.no_info_before_validator_function(listed, handler(source))


def flag(value: Any, field: str = "") -> bool | None:
    """Return what a value plainly says, yes or no; None where there is any doubt. `field` names what is asked."""
    value = _sole(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return bool(value) if value in {0, 1} else None
    if not isinstance(value, str):
        return None
    word, name = " ".join(re.split(r"[\s_-]+", value.strip(_EDGES).casefold())), field.replace("_", " ")
    if word in _YES or (name and word == name):
        return True
    denied = {f"not {name}", f"no {name}", f"un{name}", f"in{name}"} if name else set()
    return False if word in _NO | denied else None


def integer(value: Any) -> int | None:
    """Return the whole number that a value plainly is; None for anything else, a boolean too."""
    return _whole(value, _INTEGER)


def ordinal(value: Any) -> int | None:
    """Return the number of a thing; None where a value does not plainly name one."""
    return _whole(value, _ORDINAL)


def _whole(value: Any, form: re.Pattern[str]) -> int | None:
    value = _sole(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value == int(value) else None
    match = form.fullmatch(value.strip(" \t\r\n*_`'\"").translate(_MINUS)) if isinstance(value, str) else None
    return int("".join(match.groups())) if match else None


def _shaped(schema: type[ReplyModel], value: Any) -> Any:
    """Return the keys and values of a reply under the schema's own names, or the value as it is."""
    value, needed = _decoded(value), _needed(schema)
    items = needed[0] if len(needed) == 1 and _has(schema, needed[0], Items) else None
    if isinstance(value, list) and len(value) == 1 and _knows(schema, value[0]):
        value = value[0]
    if isinstance(value, list) and items:
        value = {items: value}
    elif isinstance(value, str | int | float) and len(needed) == 1 and not items:
        value = {needed[0]: value}
    if not isinstance(value, dict):
        return value
    if not _knows(schema, value):
        inner = next(iter(value.values())) if len(value) == 1 else None
        if _knows(schema, inner) or (isinstance(inner, dict | list) and not items):
            return _shaped(schema, inner)
        if not items:
            return value
        value = {items: value}
    blank = {name: None for name in schema.model_fields if name not in needed and _advises(schema, name)}
    return blank | _renamed(schema, value)


def _renamed(schema: type[BaseModel], value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with its keys spelled as the schema has them. Raises ValueError for two values of one key."""
    out: dict[str, Any] = {}
    for key, one in value.items():
        name = _field(schema, key) or key
        if name in out and (out[name] != one or isinstance(out[name], bool) is not isinstance(one, bool)):
            raise ValueError(f"{name} is given twice, with two values")
        out[name] = one
    for name, others in _also(schema).items():
        said = [one for key, one in value.items() if _folded(key) in others]
        found = {integer(one) if ordinal(one) is None else ordinal(one) for one in said}
        if name not in out and len(found) == 1 and None not in found:
            out[name] = found.pop()
    return out


def _items(item: Any, value: Any) -> Any:
    """Return a list of objects from one of the shapes in which it may come, or the value as it is."""
    value = _decoded(value)
    if not (isinstance(item, type) and issubclass(item, BaseModel)):
        return value
    numbered = "number" in item.model_fields
    if isinstance(value, list):
        return [
            _of_number(item, *next(iter(one.items())))
            if numbered and _is_single(one) and not _knows(item, one) and ordinal(next(iter(one))) is not None
            else one
            for one in value
        ]
    if not isinstance(value, dict):
        return value
    if _knows(item, value):
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


def _needed(schema: type[BaseModel]) -> list[str]:
    """Return the fields without which a reply decides nothing."""
    return [name for name, field in schema.model_fields.items() if field.is_required() and not _advises(schema, name)]


def _advises(schema: type[BaseModel], name: str) -> bool:
    """Whether a field may be missing, because its marker takes anything."""
    return any(
        (isinstance(mark, Advisory) and not isinstance(mark, Gist)) or (isinstance(mark, Listed) and not mark.needed)
        for mark in schema.model_fields[name].metadata
    )


def _has(schema: type[BaseModel], name: str, marker: type[_Marker]) -> bool:
    return any(isinstance(mark, marker) for mark in schema.model_fields[name].metadata)


def _also(schema: type[BaseModel]) -> Mapping[str, frozenset[str]]:
    return schema.also_called if issubclass(schema, ReplyModel) else {}


@lru_cache(maxsize=256)
def _names(schema: type[BaseModel]) -> Mapping[str, str]:
    return {_folded(name): name for name in schema.model_fields}


def _field(schema: type[BaseModel], key: str) -> str | None:
    """Return the field that a key names, however it is spelled."""
    if key in schema.model_fields:
        return key
    folded = _folded(key)
    return _names(schema).get(folded) or _names(schema).get(folded.removeprefix("is"))


def _knows(schema: type[BaseModel], value: Any) -> bool:
    """Whether a value is an object with a key of the schema."""
    others = frozenset[str]().union(*_also(schema).values())
    return isinstance(value, dict) and any(_field(schema, key) or _folded(key) in others for key in value)


def _folded(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


def _is_single(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1


def _sole(value: Any) -> Any:
    """Return what a list of one holds, else the value."""
    while isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    return value


def _decoded(value: Any) -> Any:
    """Return the value of a text that is a JSON object or list, else the value."""
    if not isinstance(value, str) or value.lstrip()[:1] not in {"{", "["}:
        return value
    try:
        found = json.loads(value, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return value
    level = [found]
    for _ in range(MAX_DEPTH):
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [one for several in inner for one in several]
    return value if level else found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is not finite")


def _text(value: Any, between: str) -> str:
    """Return a value as a text: parts of a list or an object one behind the other, null as nothing."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, dict):
        return between.join(f"{key}: {_text(one, ', ')}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return between.join(text for text in (_text(one, ", ") for one in value) if text)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shortened(text: str, most: int | None) -> str:
    return text if most is None or len(text) <= most else text[: most - 1].rstrip() + "…"
