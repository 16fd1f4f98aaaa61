"""Markers in the annotations of a schema's fields: what each field takes besides its exact form."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from autodata.models.values import BULLET, decoded, flag, folded, integer, is_single, ordinal, shortened, sole, text_of


class Marker:
    """What a field takes: `read` turns it into the exact form, and leaves alone what it does not understand."""

    def read(self, value: Any, field: str) -> Any:
        """Return the value in its exact form, or as it came."""
        raise NotImplementedError

    def advertised(self) -> dict[str, Any]:
        """Return the JSON Schema keywords that the model sees and that reading enforces."""
        return {}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Put `read` before the validation of the annotated type."""

        def before(value: Any, info: ValidationInfo) -> Any:
            return self.read(value, info.field_name or "")

        return core_schema.with_info_before_validator_function(before, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Show the model the limits."""
        return {**handler(schema), **self.advertised()}


@dataclass(frozen=True)
class Advisory(Marker):
    """A text that decides nothing: anything is taken, and shortened to `most` characters. It may be missing."""

    most: int
    least: int = 0
    """Asked for, and not insisted on."""

    def read(self, value: Any, field: str) -> Any:
        text = text_of(value, "; ")
        return shortened(text, self.most) if text.strip() else ""

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
class Prose(Marker):
    """A text that is used whole, never shortened. A number is its digits, a list of one is what it holds."""

    joined: str | None = None
    """What stands between the parts of a list or of an object; None refuses several parts."""
    optional: bool = False
    """Whether null is the empty text."""

    def read(self, value: Any, field: str) -> Any:
        value = sole(value)
        if value is None:
            return "" if self.optional else None
        if isinstance(value, bool) or (isinstance(value, list | dict) and (self.joined is None or not value)):
            return value
        return text_of(value, self.joined or "")


class Flag(Marker):
    """Yes or no: a boolean, 1 or 0, a plain yes or no, or the field's own name with or without a not."""

    def read(self, value: Any, field: str) -> Any:
        found = flag(value, field)
        if found is None:
            raise ValueError("true or false is needed")
        return found


class Integer(Marker):
    """A whole number, in digits: `5`, `"+5"`, `"5 points"`, `5.0`."""

    def read(self, value: Any, field: str) -> Any:
        if isinstance(value, bool):
            raise ValueError("a whole number is needed")
        number = integer(value)
        return sole(value) if number is None else number


class Ordinal(Marker):
    """The number of one of several things: `1`, `"1."`, `"#1"`, `"Criterion 1"`."""

    def read(self, value: Any, field: str) -> Any:
        if isinstance(value, bool):
            raise ValueError("a whole number is needed")
        number = ordinal(value)
        return sole(value) if number is None else number


class Choice(Marker):
    """One of the words of a Literal, in any case and with any spaces, dashes or marks around and within it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        words = {folded(word): word for word in get_args(source)}

        def chosen(value: Any) -> Any:
            value = sole(value)
            return words.get(folded(value), value) if isinstance(value, str) else value

        return core_schema.no_info_before_validator_function(chosen, handler(source))


class Tag(Marker):
    """A snake_case word: spaces, dashes and capitals are put right."""

    def read(self, value: Any, field: str) -> Any:
        value = sole(value)
        if not isinstance(value, str):
            return value
        plain = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
        return re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")[:60].rstrip("_")


@dataclass(frozen=True)
class Listed(Marker):
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
        found = [shortened(text, self.each) for text in self._entries(value) if text.strip()][: self.most]
        if self.needed and len(found) < self.least:
            raise ValueError(f"at least {self.least} item{'s' if self.least > 1 else ''} needed")
        return found

    def _entries(self, value: Any) -> list[str]:
        value = decoded(value)
        if isinstance(value, dict):
            by_number = all(ordinal(key) is not None for key in value)
            value = list(value.values()) if by_number else [text_of({key: one}, "; ") for key, one in value.items()]
        if isinstance(value, list | tuple):
            return [text_of(next(iter(one.values())) if is_single(one) else one, "; ").strip() for one in value]
        lines = text_of(value, "; ").splitlines()
        if len(lines) == 1 and self.commas:
            lines = re.split(r"[;,]", lines[0])
        return [BULLET.sub("", line.strip()).strip() for line in lines]

    def advertised(self) -> dict[str, Any]:
        return {"maxItems": self.most} | ({"minItems": self.least} if self.least else {})
