"""Finding the JSON values of a text in one pass, their slight slips repaired.

Every character is looked at a bounded number of times, whatever the text: a value whose grammar breaks is followed by
its brackets alone, and is never begun again.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, Literal

from autodata.models.texts import Doubtful, clean, doubled
from autodata.models.values import Decimals

Kind = Literal["empty", "truncated", "not_json", "invalid", "ended"]

MAX_DEPTH: Final = 100
MAX_VALUES: Final = 4000
"""A reply with more JSON values than this is a model that repeats itself."""

_START: Final = re.compile(
    r"""\{ (?= \s*+ (?: ["“”'}] | // | \w++ \s*+ : ) )
    | \[ (?= \s*+ \{ )""",
    re.VERBOSE,
)
_TOKEN: Final = re.compile(
    r"""\s*+(?: (?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+")
    | [“”](?P<smart>[^“”\\]*+(?:\\.[^“”\\]*+)*+)[“”]
    | (?P<comment>//[^\n]*+)
    | (?P<open>[{\[])
    | (?P<shut>[}\]])
    | (?P<comma>,)
    | (?P<colon>:)
    | (?P<unended>["“”])
    | (?P<word>[^\s"“”{}\[\],:/]++ | /)
    | \Z)""",
    re.VERBOSE | re.DOTALL,
)
_ROUGH: Final = re.compile(r'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+" | (?P<open>[{\[]) | (?P<shut>[}\]])', re.VERBOSE)
_QUOTED: Final = re.compile(r"[{\[\s]*+[\"“”]")
_ESCAPE_OR_QUOTE: Final = re.compile(r'\\.|"', re.DOTALL)
_PYTHON_WORDS: Final = {"True": "true", "False": "false", "None": "null"}
_PLUS: Final = re.compile(r"\+\d[\w.+-]*")
_NEXT: Final = {
    ("value", "string"): "end",
    ("value", "smart"): "end",
    ("value", "word"): "end",
    ("key", "string"): "colon",
    ("key", "smart"): "colon",
    ("colon", "colon"): "value",
}
"""What is wanted after a token that was wanted; brackets and commas depend on where they stand."""
_PAIRS: Final = {"{": "}", "[": "]"}


class Unusable(ValueError):
    """A reply that holds no usable answer. The message is one paragraph, fit to be shown back to the model.

    `kind` is `empty` (no answer at all), `truncated` (cut off before its end), `not_json` (nothing that reads as JSON)
    or `invalid` (JSON that does not fit the schema, repeats a key, or holds a number that is not finite); callers add
    `ended` (the server ended it for a reason of its own). `shape` is
    true for an invalid value that has a key of the schema: an attempt at an answer, not a server's error message.
    """

    def __init__(self, kind: Kind, message: str, *, shape: bool = False) -> None:
        super().__init__(" ".join(message.split()))
        self.kind: Kind = kind
        self.shape = shape


@dataclass(frozen=True)
class JsonValue:
    """A bracketed value of a text: its place, and its value or what is wrong with it."""

    start: int
    end: int
    value: Any
    error: Unusable | None


def values_in(text: str) -> tuple[list[JsonValue], bool]:
    """Return the outermost objects (and lists of objects) of a text, in order, and whether the text ends inside one.

    Raises Unusable when there are more than `MAX_VALUES` of them.

    A value with a slip that nobody can repair is returned with its error, up to the bracket that closes it. One that
    never closes ends with the text, for its quotes or brackets are off: what stands at the start of a line within it is
    a value of its own, and in a brace of prose (`{x: x > 0`) whatever does.
    """
    found: list[JsonValue] = []
    position = 0
    while match := _START.search(text, position):
        if len(found) == MAX_VALUES:
            raise Unusable("invalid", f"The reply held more than {MAX_VALUES:,} JSON values: give one.")
        value = _Value(text, match.start())
        if value.cut_off:
            return found, True
        if value.closed:
            found.append(JsonValue(value.start, value.end, *_loaded(value)))
            position = value.end
            continue
        inner, position = _after_break(text, value)
        found += inner
    return found, False


class _Value:
    """One value, read token by token as long as the grammar of JSON holds.

    Then `closed` (it ended), `cut_off` (the text ended first) or neither: it broke at `end`, the strings before being
    trusted no further than to the end of their line.
    """

    def __init__(self, text: str, start: int) -> None:
        self.start, self.end = start, start
        self.pieces: list[str] = []
        self.doubt: Doubtful | None = None
        self.stack: list[str] = []
        self.closed = self.cut_off = False
        self._read(text)

    def _read(self, text: str) -> None:
        want, comma, last_string, position = "value", False, (0, 0), self.start
        pieces, stack, match_token = self.pieces, self.stack, _TOKEN.match
        while match := match_token(text, position):
            kind = match.lastgroup
            if kind is None or (kind == "unended" and want in {"value", "key"}):
                self.cut_off = True
                return
            position = match.end()
            if kind == "comment":
                continue
            token = match[kind]
            after = _NEXT.get((want, kind)) or self._bracket(kind, token, want, comma)
            if not after:
                self._broken(text, match.start(), last_string)
                return
            if kind == "comma":
                want, comma = after, True  # written once something follows: a trailing one is dropped
                continue
            if comma and kind != "shut":
                pieces.append(",")
            want, comma = after, False
            if kind in {"string", "smart"}:
                last_string = match.span()
                token = self._string(kind, token)
            elif kind == "word":
                token = token[1:] if token[0] == "+" and _PLUS.fullmatch(token) else _PYTHON_WORDS.get(token, token)
            pieces.append(token)
            if not stack:
                self.end, self.closed = position, True
                return

    def _bracket(self, kind: str, token: str, want: str, comma: bool) -> str:
        """Open or close a bracket, or take a comma; return what is wanted next, nothing when it was not wanted."""
        stack = self.stack
        if kind == "open" and want == "value" and len(stack) < MAX_DEPTH:
            stack.append(_PAIRS[token])
            return "key" if _PAIRS[token] == "}" else "value"
        if kind == "comma" and want == "end":
            return "key" if stack[-1] == "}" else "value"
        # A value may be missing in an empty list or after a comma, and nowhere else.
        if (kind == "shut" and stack and token == stack[-1] and want != "colon") and (
            want != "value" or comma or self.pieces[-1] == "["
        ):
            stack.pop()
            return "end"
        return ""

    def _string(self, kind: str, token: str) -> str:
        inside = token[1:-1] if kind == "string" else _ESCAPE_OR_QUOTE.sub(_escaped_quote, token)
        if "\\" in inside:
            try:
                inside = doubled(inside)
            except Doubtful as doubt:
                self.doubt = doubt
        return f'"{inside}"'

    def _broken(self, text: str, position: int, last_string: tuple[int, int]) -> None:
        start, end = last_string
        newline = text.find("\n", start, end)
        self.end = newline if newline >= 0 else position


def _after_break(text: str, value: _Value) -> tuple[list[JsonValue], int]:
    """Follow a broken value by its brackets; return what was found from its start on, and where to go on."""
    whole = _not_json(text[value.start : value.end + 30])
    depth, prose = len(value.stack), not _QUOTED.match(text, value.start)
    opened: list[int] = []
    loose: list[tuple[int, int]] = []
    for token in _ROUGH.finditer(text, value.end):
        if token["open"]:
            depth += 1
            opened.append(token.start())
        elif token["shut"]:
            depth -= 1
            if opened:
                start = opened.pop()
                if prose or text[start - 1] == "\n":
                    loose.append((start, token.end()))
            if not depth:
                return [JsonValue(value.start, token.end(), None, whole)], token.end()
    found = [JsonValue(value.start, value.end, None, whole)]
    done = 0
    for start, end in sorted(loose)[:MAX_VALUES]:
        if start >= done and _START.match(text, start):
            inner = _Value(text[start:end], 0)
            done = end
            if inner.closed:
                found.append(JsonValue(start, start + inner.end, *_loaded(inner)))
            else:
                found.append(JsonValue(start, end, None, whole))
    return found, len(text)


def _escaped_quote(match: re.Match[str]) -> str:
    return r"\"" if match[0] == '"' else match[0]


def _loaded(value: _Value) -> tuple[Any, Unusable | None]:
    """Return a closed value, or what is wrong with it."""
    if value.doubt is not None:
        return None, Unusable("not_json", f"The JSON could not be read: {value.doubt}.")
    try:
        return load("".join(value.pieces)), None
    except Unusable as error:
        return None, error


def load(source: str) -> Any:
    """Return the value of a JSON text, numbers with their spelling.

    Raises Unusable, also for a repeated key and for numbers that are not finite.
    """
    try:
        value = json.loads(
            source, strict=False, object_pairs_hook=_unique, parse_constant=_not_finite, parse_float=_finite
        )
        return cleaned(value)
    except Unusable:
        raise
    except json.JSONDecodeError as error:
        near = error.doc[max(0, error.pos - 30) : error.pos + 30]
        raise Unusable("not_json", f"The JSON could not be read: {error.msg}, near: {near}") from error
    except (ValueError, RecursionError) as error:
        raise Unusable("invalid", "The JSON holds a number that is too long.") from error


def cleaned(value: Any) -> Any:
    """Return a JSON value with no control character in any of its texts."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): cleaned(item) for key, item in value.items()}
    return value


def _not_json(near: str) -> Unusable:
    return Unusable("not_json", f"The JSON could not be read, near: {near[-60:]}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise Unusable("invalid", f"The key {clip(twice, 60)!r} occurs twice in the same object: give every key once.")
    return value


def _not_finite(word: str) -> float:
    raise Unusable("invalid", f"{word} is not a JSON number: give a finite number.")


def _finite(digits: str) -> float:
    number = Decimals(digits)
    return number if math.isfinite(number) else _not_finite(clip(digits, 20))


def clip(text: str, length: int) -> str:
    """Return the first characters of a text, marked when cut."""
    return text if len(text) <= length else text[: length - 1] + "…"
