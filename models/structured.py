"""Reading a model's reply into a pydantic model, and saying to the model what shape is wanted.

Servers differ in what they enforce and models in what they wrap around an answer, so nothing is taken for granted:
reasoning is stripped, the JSON value is looked for, a handful of slips that leave no doubt about the meaning are
repaired, and pydantic has the last word. What is missing is never made up: a reply that was cut off within an object is
refused, whatever it held before the cut.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, RootModel, ValidationError

from autodata.models.schemas import inlined, wire_form

T = TypeVar("T", bound=BaseModel)
Kind = Literal["empty", "truncated", "not_json", "invalid"]

MAX_ERRORS_SHOWN: Final = 5
MAX_DEPTH: Final = 100
MAX_UNCLOSED: Final = 50
"""How many unclosed brackets are looked into before a reply is given up: it bounds the work on hostile text."""

_TAG: Final = re.compile(r"<(?P<close>/?)(?:think|thinking|reasoning)(?=[\s/>])[^<>]*?(?P<alone>/?)>", re.IGNORECASE)
_START: Final = re.compile(
    r"""(?P<fence>`{3,}|~{3,})[ \t]*\w*
    | \{ (?= \s*+ (?: ["“”'}] | // | \w++ \s*+ : ) )
    | \[ (?= \s*+ \{ )""",
    re.VERBOSE,
)
_QUOTED_START: Final = re.compile(r"[{\[\s]*[\"“”]")
_LINE_START: Final = re.compile(r"^[{\[]", re.MULTILINE)
_TOKEN: Final = re.compile(
    r"""(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+")
    | [“”](?P<smart>[^“”\\]*+(?:\\.[^“”\\]*+)*+)[“”]
    | (?P<unended>["“”])
    | (?P<comment>//[^\n]*)
    | (?P<comma>,(?=(?:\s++|//[^\n]*+)*+[}\]]))
    | (?P<plus>\+(?=\d))
    | (?P<word>[A-Za-z_]\w*)
    | (?P<open>[{\[])
    | (?P<shut>[}\]])
    | -?\d[\w.+-]* | \s+ | .""",
    re.VERBOSE | re.DOTALL,
)
_FENCE_EDGES: Final = re.compile(r"\A(?:`{3,}|~{3,})[ \t]*\w*\s|\s(?:`{3,}|~{3,})\Z")
_ESCAPE_OR_QUOTE: Final = re.compile(r'\\.|"', re.DOTALL)
_LAST_WORD: Final = re.compile(r"[\w.,+\-\\]*\s*")
_PYTHON_WORDS: Final = {"True": "true", "False": "false", "None": "null"}


class Unusable(ValueError):
    """A reply that holds no usable answer. The message is one paragraph, fit to be shown back to the model.

    `kind` is `empty` (no answer at all), `truncated` (cut off before its end), `not_json` (nothing that reads as JSON)
    or `invalid` (JSON that does not fit the schema, repeats a key, or holds a number that is not finite). `shape` is
    true for an invalid object that has a key of the schema: an attempt at an answer, not a server's error message.
    """

    def __init__(self, kind: Kind, message: str, *, shape: bool = False) -> None:
        super().__init__(" ".join(message.split()))
        self.kind: Kind = kind
        self.shape = shape


@dataclass(frozen=True)
class _Found:
    """A bracketed value of the reply: its place, whether it stood in a code fence, and its value or what is wrong."""

    start: int
    end: int
    fenced: bool
    value: Any
    error: Unusable | None


def strip_reasoning(text: str) -> str:
    """Return a reply without its `<think>`, `<thinking>` and `<reasoning>` blocks, and without blank ends.

    A block counts when its opening tag starts a line. A reply that begins inside a block loses all up to the closing
    tag; one that begins with a block that never closes is all reasoning, so nothing is left. Tags that the answer only
    mentions (inside a JSON value, in quotes or backticks, in the middle of a line) stay.
    """
    text = text.strip().strip("\ufeff").strip()
    first = _TAG.match(text)
    begins_with_block = first is not None and not first["close"]
    drop: list[tuple[int, int]] = []
    depth = mentions = opened = last_close = quoted_close = 0
    for tag in _tags_outside_json(text):
        done = drop[-1][1] if drop else 0
        starts_line = not text[max(done, text.rfind("\n", 0, tag.start()) + 1) : tag.start()].strip()
        if _is_quoted(text, tag):
            quoted_close = tag.end() if depth and tag["close"] else quoted_close
        elif tag["alone"]:
            if starts_line and not depth:
                drop.append(tag.span())
        elif not tag["close"]:
            if depth or starts_line:
                opened = opened if depth else tag.start()
                depth += 1
            else:
                mentions += 1
        elif depth:
            depth, last_close = depth - 1, tag.end()
            if not depth:
                drop.append((opened, tag.end()))
        elif mentions and not starts_line:
            mentions -= 1
        elif not begins_with_block:
            drop, mentions = [(0, tag.end())], 0
    if depth and not _without(text[:opened], drop):
        drop.append((opened, max((end for end in (last_close, quoted_close) if end > opened), default=len(text))))
    return _without(text, drop)


def parse_reply(text: str, schema: type[T], *, finish_reason: str | None = None) -> T:
    """Return the answer in a model's reply, validated against `schema`. Raises Unusable.

    The answer is the last JSON object in a code fence that validates, else the last one anywhere: a model that corrects
    itself is held to its last word. Objects inside other objects are never answers, save for one that stands alone
    under a single key which the schema does not have. A reply that ends inside an object is refused whole.
    `finish_reason` is the server's: `length` tells a cut-off reply from a malformed one.
    """
    answer = strip_reasoning(text)
    if not answer:
        if finish_reason == "length":
            raise Unusable("truncated", "The reply was cut off by the length limit before any answer: be brief.")
        raise Unusable("empty", "The reply held no answer.")
    found, cut_off = _scan(answer)
    if cut_off:
        raise Unusable("truncated", "The reply ended in the middle of a JSON object: be brief, so that it fits whole.")
    first_error: Unusable | None = None
    for item in sorted(found, key=lambda item: (item.fenced, item.start), reverse=True):
        error = item.error
        if error is None:
            try:
                return _validate(item.value, schema)
            except Unusable as unusable:
                error = unusable
        elif error.kind == "invalid":  # its value could not be kept
            error.shape = any(f'"{key}"' in answer[item.start : item.end] for key in _keys(schema))
        first_error = first_error or error
    if first_error is not None and (finish_reason != "length" or first_error.kind == "invalid"):
        raise first_error
    if finish_reason == "length":
        raise Unusable("truncated", "The reply was cut off by the length limit before a whole JSON object: be brief.")
    return _validate(_bare_value(answer), schema)


@lru_cache(maxsize=256)  # a prompt asks for the same few schemas again and again
def schema_text(schema: type[BaseModel]) -> str:
    """Return a model's JSON Schema as one compact line for a prompt: definitions inlined, no title but the class name.

    Keywords are sorted; properties keep the order of their declaration, because models write them in the order shown.
    """
    return json.dumps(inlined(schema), ensure_ascii=False, separators=(",", ":"))


def response_format(
    schema: type[BaseModel], mode: Literal["json_schema", "json_object"], *, text_limits: bool = False
) -> dict[str, Any]:
    """Return the `response_format` of a request to an OpenAI-compatible server.

    In `json_schema` mode every property is required, also those with a default, and no other key is allowed. `strict`
    is false only for schemas that cannot be closed so (free-form maps, values of any type, fixed-length tuples).
    `text_limits` sends the longest length of texts too: a small model then cannot run into the token limit.
    """
    if mode == "json_object":
        return {"type": "json_object"}
    form, strict = wire_form(schema, text_limits=text_limits)
    name = re.sub(r"[^A-Za-z0-9_-]", "_", schema.__name__)[:64]
    return {"type": "json_schema", "json_schema": {"name": name, "strict": strict, "schema": form}}


def repair_message(error: Unusable, schema: type[BaseModel], replies: int = 1) -> str:
    """Return the user message of a repair turn: what was wrong with the latest reply, and what to send instead.

    `replies` is how many could not be used so far: it makes every request another one, also for the same reply.
    """
    return (
        f"Your last {'reply' if replies == 1 else f'{replies} replies'} could not be used. {error}\n\n"
        "Answer again with one JSON object alone, complete and valid: no other text, no code fence, no comments. "
        f"It must fit this JSON Schema:\n{schema_text(schema)}"
    )


def _tags_outside_json(text: str) -> list[re.Match[str]]:
    """Return the reasoning tags of a reply that do not lie within a JSON value."""
    tags = list(_TAG.finditer(text))
    values = [item for item in _scan(text)[0] if item.error is None] if tags else []
    return [tag for tag in tags if not any(item.start < tag.start() < item.end for item in values)]


def _is_quoted(text: str, tag: re.Match[str]) -> bool:
    before, after = text[: tag.start()][-1:], text[tag.end() :][:1]
    return (before, after) in {("`", "`"), ('"', '"'), ("'", "'"), ("“", "”")}


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    """Return a text without the given spans, which are in order and do not overlap, and without blank ends."""
    kept, position = [], 0
    for start, end in spans:
        kept.append(text[position:start])
        position = end
    kept.append(text[position:])
    return "".join(kept).strip()


def _scan(text: str) -> tuple[list[_Found], bool]:
    """Return the outermost objects (and lists of objects) of a text, in order, and whether the text ends inside one."""
    found: list[_Found] = []
    fence = ""
    position = unclosed = 0
    while unclosed < MAX_UNCLOSED and (match := _START.search(text, position)):
        if mark := match["fence"]:
            if not fence or fence == mark[0]:
                fence = "" if fence else mark[0]
            position = match.end()
            continue
        start = match.start()
        source, end = _repaired(text, start)
        value, error = _attempt(source)
        if end is not None:
            found.append(_Found(start, end, bool(fence), value, error))
            position = end
            continue
        if _is_cut_off(source):
            return found, True
        unclosed += 1
        position = start + 1
        if _QUOTED_START.match(text, start):
            # Its quotes are off, so nobody knows where this value ends; one that starts a line is surely a new one.
            found.append(_Found(start, len(text), bool(fence), None, error))
            resume = _LINE_START.search(text, position)
            position = resume.start() if resume else len(text)
    return found, False


def _repaired(text: str, start: int) -> tuple[str, int | None]:
    """Return the value that opens at `start`, its slight slips repaired, and its end (None when it never closes)."""
    pieces: list[str] = []
    depth = 0
    for token in _TOKEN.finditer(text, start):
        kind, piece = token.lastgroup, token[0]
        if kind == "unended":
            return "".join([*pieces, '"', text[token.end() :]]), None
        if kind == "open":
            depth += 1
            if depth > MAX_DEPTH:
                return "", len(text)
        elif kind in {"comment", "comma", "plus"}:
            piece = ""
        elif kind == "word":
            piece = _PYTHON_WORDS.get(piece, piece)
        elif kind == "smart":
            piece = f'"{_ESCAPE_OR_QUOTE.sub(_escaped_quote, token["smart"])}"'
        pieces.append(piece)
        if kind == "shut":
            depth -= 1
            if not depth:
                return "".join(pieces), token.end()
    return "".join(pieces), None


def _escaped_quote(match: re.Match[str]) -> str:
    return r"\"" if match[0] == '"' else match[0]


def _is_cut_off(source: str) -> bool:
    """Whether a value that never closes reads well up to the end of the text."""
    try:
        json.loads(source, strict=False)
    except json.JSONDecodeError as error:
        return error.msg.startswith("Unterminated string") or bool(_LAST_WORD.fullmatch(source, error.pos))
    except (ValueError, RecursionError):
        return False
    return False


def _attempt(source: str) -> tuple[Any, Unusable | None]:
    try:
        return _load(source), None
    except Unusable as error:
        return None, error


def _load(source: str) -> Any:
    """Return the value of a JSON text. Raises Unusable, also for a repeated key and for numbers that are not finite."""
    try:
        return json.loads(
            source, strict=False, object_pairs_hook=_unique, parse_constant=_not_finite, parse_float=_finite
        )
    except Unusable:
        raise
    except json.JSONDecodeError as error:
        near = error.doc[max(0, error.pos - 30) : error.pos + 30]
        raise Unusable("not_json", f"The JSON could not be read: {error.msg}, near: {near}") from error
    except (ValueError, RecursionError) as error:
        raise Unusable("invalid", "The JSON holds a number that is too long.") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise Unusable("invalid", f"The key {_clip(twice, 60)!r} occurs twice in the same object: give every key once.")
    return value


def _not_finite(word: str) -> float:
    raise Unusable("invalid", f"{word} is not a JSON number: give a finite number.")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _not_finite(_clip(digits, 20))


def _bare_value(answer: str) -> Any:
    """Return the value of a reply that is JSON but neither an object nor a list of objects. Raises Unusable if not."""
    value, error = _attempt(_FENCE_EDGES.sub("", answer))
    if error is None:
        return value
    raise error if error.kind == "invalid" else Unusable("not_json", "The reply held no JSON object.")


def _validate(value: Any, schema: type[T]) -> T:
    value = _unwrapped(value, schema)
    try:
        return schema.model_validate_json(json.dumps(value))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [f"{_path(problem['loc'])}: {_clip(problem['msg'], 200)}" for problem in problems[:MAX_ERRORS_SHOWN]]
    more = len(problems) - len(shown)
    rest = f"; and {more} more" if more > 0 else ""
    shape = isinstance(value, dict) and not _keys(schema).isdisjoint(value)
    raise Unusable("invalid", f"The JSON does not fit the schema. {'; '.join(shown)}{rest}.", shape=shape)


def _keys(schema: type[BaseModel]) -> set[str]:
    return set(schema.model_fields) | {field.alias for field in schema.model_fields.values() if field.alias}


def _unwrapped(value: Any, schema: type[BaseModel]) -> Any:
    """Return the object that stands alone under one key which the schema does not have, else the value as it is."""
    if issubclass(schema, RootModel) or not isinstance(value, dict) or len(value) != 1:
        return value
    known = _keys(schema)
    ((key, inner),) = value.items()
    return inner if key not in known and isinstance(inner, dict) and known & inner.keys() else value


def _path(loc: tuple[int | str, ...]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{_clip(part, 60)}" for part in loc)
    return path.lstrip(".") or "the whole value"


def _clip(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
