"""Reading a model's reply into a pydantic model, and saying to the model what shape is wanted.

Servers differ in what they enforce and models in what they wrap around an answer, so nothing is taken for granted:
reasoning is stripped, one pass finds the JSON values and repairs slips that leave no doubt about the meaning, the last
one that is an answer binds, and pydantic has the last word. What is missing is never made up: a reply that was cut off
within an object is refused, whatever it held before the cut.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, RootModel, ValidationError

from autodata.models.coerce import ReplyModel, attempts, key_of, knows, lenient
from autodata.models.reasoning import strip_reasoning
from autodata.models.scan import JsonValue, Kind, Unusable, clip, load, values_in
from autodata.models.schemas import inlined, wire_form

__all__ = [
    "Kind",
    "Unusable",
    "parse_reply",
    "repair_message",
    "response_format",
    "schema_text",
    "strip_reasoning",
]

T = TypeVar("T", bound=BaseModel)

MAX_ERRORS_SHOWN: Final = 5

_LONGEST_WORD: Final = 20
"""Characters of a reply that may be the word which a `bare` schema is answered with."""

_KEY: Final = re.compile(r"[\"“”'{,\s]([^\W\d][\w-]{0,59}+(?: [\w-]{1,59}+){0,3}+)[\"“”']?\s{0,8}+:")
"""A key in the text of a value that could not be read."""

_FENCE_EDGES: Final = re.compile(r"\A(?:`{3,}|~{3,})[ \t]*\w*\s|\s(?:`{3,}|~{3,})\Z")


def parse_reply(text: str, schema: type[T], *, finish_reason: str | None = None) -> T:
    """Return the answer in a model's reply, validated against `schema`. Raises Unusable and nothing else.

    The last JSON value that is an attempt at an answer binds, in a code fence or not: a model that corrects itself is
    held to its last word. An attempt fits the schema or has a key of it; one that does not fit is refused rather than
    passed over for an earlier one. Values without a key of the schema (an example, a set in prose) are passed over.
    Objects inside other objects are never answers, save for one that stands alone under a single key which the schema
    does not have. A reply that ends inside an object is refused whole. `finish_reason` is `length` where a limit cut
    the reply off: it distinguishes such a reply from a malformed one.
    """
    answer = strip_reasoning(text)
    if not answer:
        if finish_reason == "length":
            raise Unusable("truncated", "The reply was cut off by the length limit before any answer: be brief.")
        raise Unusable("empty", "The reply held no answer.")
    found, cut_off = values_in(answer)
    if cut_off:
        raise Unusable("truncated", "The reply ended in the middle of a JSON object: be brief, so that it fits whole.")
    last: Unusable | None = None
    for item in reversed(found):
        named = attempts(schema, item.value) or (
            item.error is not None and _names_a_key(answer, item.start, item.end, schema)
        )
        if last is not None and not named:
            continue  # nothing but the very last value is an answer without one key of the schema
        try:
            return _answer(item, schema)
        except Unusable as error:
            error.shape = named
            if named:
                raise
            last = error
    if last is not None and (finish_reason != "length" or last.kind == "invalid"):
        raise last
    if finish_reason == "length":
        raise Unusable("truncated", "The reply was cut off by the length limit before a whole JSON object: be brief.")
    if issubclass(schema, ReplyModel) and schema.bare and len(answer) <= _LONGEST_WORD:
        return _validate(answer, schema)
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
    `text_limits` sends the longest length of texts too: a small model then cannot run into the token limit. It stands
    for a local server, of which a schema that is `bare` asks for the value of its only field: one token, for a boolean.
    """
    if mode == "json_object":
        return {"type": "json_object"}
    form, strict = wire_form(schema, text_limits=text_limits)
    if text_limits and issubclass(schema, ReplyModel) and schema.bare:
        [form], strict = form["properties"].values(), False
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


def _answer(item: JsonValue, schema: type[T]) -> T:
    if item.error is not None:
        raise item.error
    return _validate(item.value, schema)


def _names_a_key(text: str, start: int, end: int, schema: type[BaseModel]) -> bool:
    """Whether the text of a value that could not be read names a key of the schema, however it is spelled."""
    return any(key_of(schema, key) for key in set(_KEY.findall(text, start, end)))


def _bare_value(answer: str) -> Any:
    """Return the value of a reply that is JSON but neither an object nor a list of objects. Raises Unusable if not."""
    try:
        return load(_FENCE_EDGES.sub("", answer))
    except Unusable as error:
        raise error if error.kind == "invalid" else Unusable("not_json", "The reply held no JSON object.") from error


def _validate(value: Any, schema: type[T]) -> T:
    value = _unwrapped(value, schema)
    try:
        fitted = lenient(schema, value)  # a key with two values is refused, even where one of them fits
        if issubclass(schema, ReplyModel):
            with suppress(ValidationError):  # JSON's text would lose how numbers are spelled
                return schema.model_validate(value)
        with suppress(ValidationError):  # what fits as it came is taken as it came
            return schema.model_validate_json(json.dumps(value))
        return schema.model_validate_json(json.dumps(fitted))
    except ValidationError as error:
        problems = error.errors()
    except RecursionError as error:
        raise Unusable("invalid", "The JSON is nested too deeply.") from error
    except ValueError as error:
        raise Unusable("invalid", f"The JSON does not fit the schema. {error}.") from error
    shown = [f"{_path(problem['loc'])}: {clip(problem['msg'], 200)}" for problem in problems[:MAX_ERRORS_SHOWN]]
    more = len(problems) - len(shown)
    rest = f"; and {more} more" if more > 0 else ""
    message = f"The JSON does not fit the schema. {'; '.join(shown)}{rest}."
    raise Unusable("invalid", message)


def _unwrapped(value: Any, schema: type[BaseModel]) -> Any:
    """Return the object that stands alone under one key which the schema does not have, else the value as it is."""
    if issubclass(schema, RootModel) or not isinstance(value, dict) or len(value) != 1:
        return value
    ((key, inner),) = value.items()
    # A class name as the key ("Verdict") may be spelled as a field is: only the exact key is the schema's own here.
    return inner if key_of(schema, key) != key and knows(schema, inner) else value


def _path(loc: tuple[int | str, ...]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{clip(part, 60)}" for part in loc)
    return path.lstrip(".") or "the whole value"
