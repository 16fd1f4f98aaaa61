"""What a JSON value plainly says: yes or no, a whole number, the number of a thing, a text. Doubt is never decided."""

from __future__ import annotations

import json
import math
import re
from types import UnionType
from typing import Annotated, Any, Final, Self, Union, get_args, get_origin

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
_MINUS: Final = str.maketrans({"−": "-", "–": "-"})
BULLET: Final = re.compile(r"^(?:[-*•·]|\d{1,2}[.)])[ \t]{1,9}")
_EDGES: Final = " \t\r\n.,;:!*_`'\"()[]“”"


class Decimals(float):
    """A number with decimals or an exponent that, as a text, is spelled as it was given: `1.10`, `6.02214076e23`."""

    __slots__ = ("_spelled",)
    _spelled: str

    def __new__(cls, spelled: str) -> Self:
        """Take the number's spelling in JSON."""
        number = super().__new__(cls, spelled)
        number._spelled = spelled
        return number

    def __str__(self) -> str:
        return self._spelled

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        """Copy it with its spelling."""
        return type(self), (self._spelled,)


def true_for_number(wanted: Any, value: Any) -> bool:
    """Whether true or false stands where a type takes a number and neither of them, in a list or map of numbers too.

    pydantic would take it for 1 or 0. `bool | int` takes it for what it is, and so does `Any`.
    """
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin is Annotated:
        return true_for_number(parts[0], value)
    if origin in {Union, UnionType}:
        return bool not in parts and any(true_for_number(part, value) for part in parts)
    if isinstance(value, dict):
        return origin is dict and any(true_for_number(parts[1], one) for one in value.values())
    if isinstance(value, list | tuple):
        return origin in {list, tuple} and any(true_for_number(parts[0], one) for one in value)
    return isinstance(value, bool) and wanted in {int, float}


def flag(value: Any, field: str = "") -> bool | None:
    """Return what a value plainly says, yes or no; None where there is any doubt. `field` names what is asked."""
    value = sole(value)
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
    value = sole(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value == int(value) else None
    match = form.fullmatch(value.strip(" \t\r\n*_`'\"").translate(_MINUS)) if isinstance(value, str) else None
    return int("".join(match.groups())) if match else None


def folded(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


def is_single(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1


def sole(value: Any) -> Any:
    """Return what a list of one holds, else the value."""
    while isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    return value


def decoded(value: Any) -> Any:
    """Return the value of a text that is a JSON object or list, else the value."""
    if not isinstance(value, str) or value.lstrip()[:1] not in {"{", "["}:
        return value
    try:
        found = json.loads(value, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=Decimals)
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


def text_of(value: Any, between: str) -> str:
    """Return a value as a text: parts of a list or an object one behind the other, null as nothing."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, dict):
        return between.join(f"{key}: {text_of(one, ', ')}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return between.join(text for text in (text_of(one, ", ") for one in value) if text)
    return str(value).lower() if isinstance(value, bool) else str(value)


def shortened(text: str, most: int | None) -> str:
    return text if most is None or len(text) <= most else text[: most - 1].rstrip() + "…"
