"""Records: mappings that hold a text, and perhaps a title and an id, in lines or arrays of JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from autodata.checkpoints.records import Skipped
from autodata.checkpoints.texts import is_blank
from autodata.corpus.loaders.base import Fields, File, Loader, Raw, Reading, Unreadable, as_text, one_line
from autodata.corpus.loaders.encodings import wide_mark

SHOWN_KEYS = 12
"""Keys of a record that a message names."""

MAX_BAD_LINES = 1000
"""Lines of one file of lines that are no documents and are listed one by one; further ones are counted."""

_FIELDS = Fields()


def raw_of(record: Mapping[str, Any], name: str, fields: Fields = _FIELDS) -> Raw:
    """Return the text of a record. Raises Unreadable, naming the keys there are, when it has none that can be used.

    A key that was named and is not there is a mistake; without the usual `title` or `id` a record has none.
    """
    text = record.get(fields.text)
    if not isinstance(text, str):
        raise Unreadable(
            f'"{fields.text}" is not a string'
            if text is not None
            else f'no "{fields.text}"'
            if fields.text in record
            else f'no "{fields.text}"{_among(record)}: name the key that holds the text (documents.text_field,'
            " --text-field)"
        )
    title, given_id = _value(record, fields.title, "title"), _value(record, fields.id, "id")
    if isinstance(given_id, bool) or not isinstance(given_id, str | int | None):
        raise Unreadable(f'"{fields.id}" is neither a string nor an integer')
    if not isinstance(title, str | None):
        raise Unreadable(f'"{fields.title}" is not a string')
    key = one_line("" if given_id is None else str(given_id))
    return Raw(key or name, text, title or "", key=key, record=True)


def _value(record: Mapping[str, Any], key: str, option: str) -> Any:
    if key not in record and key != getattr(_FIELDS, option):
        raise Unreadable(f'no "{key}"{_among(record)}: name another (documents.{option}_field, --{option}-field)')
    return record.get(key)


def _among(record: Mapping[str, Any]) -> str:
    """Return the keys of a record as a message names them."""
    keys = [f'"{one_line(str(key))}"' for key in record]
    more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
    return f" among its keys {', '.join(keys[:SHOWN_KEYS])}{more}" if keys else ", for it has no keys"


def load_lines(file: File, reading: Reading) -> Iterator[Raw | Skipped]:
    """Yield the records of a file of JSON lines. A bad line is skipped with its number; blank lines are nothing.

    Of a file that is something else every line is bad: after MAX_BAD_LINES one note says how many more there are, and
    where the last one is.
    """
    bad = last = 0
    for number, line in _lines(file, reading):
        if not line.strip():
            continue
        if bad >= MAX_BAD_LINES and not _may_hold(line, reading.fields.text):
            bad, last = bad + 1, number
            continue
        try:
            text = _text_of(line, reading)
            if not is_blank(text):
                yield raw_of(_object(text), f"{file.name}:{number}", reading.fields)
        except Unreadable as error:
            bad, last = bad + 1, number
            if bad <= MAX_BAD_LINES:
                yield Skipped(name=f"{file.name}:{number}", reason=f"line {number}: {error}")
    if bad > MAX_BAD_LINES:
        more = bad - MAX_BAD_LINES
        what = "1 more line is no document" if more == 1 else f"{more:,} more lines are no documents"
        yield Skipped(name=file.name, reason=f"{what}, the last of them line {last}")


def _text_of(line: bytes | str, reading: Reading) -> str:
    """Return a line as text. Raises Unreadable. What nearly every line is, UTF-8, is tried first: lines are many."""
    if isinstance(line, str):
        return line
    if b"\0" not in line:
        with suppress(UnicodeDecodeError):
            return line.decode("utf-8-sig")
    return as_text(line, reading)[0]


def _may_hold(line: bytes | str, key: str) -> bool:
    """Whether a line can be an object with a key at all; its letters may be escaped."""
    if not key.isascii():
        return True
    if isinstance(line, str):
        return key in line or "\\u" in line
    return key.encode() in line or b"\\u" in line


def _lines(file: File, reading: Reading) -> Iterator[tuple[int, bytes | str]]:
    with file.opened() as stream:
        wide = wide_mark(stream.read(4))
        if wide == "utf-32" and reading.version == 1:
            wide = "utf-16"
        stream.seek(0)
        if not wide:
            yield from enumerate(stream, 1)
            return
        number = 0
        try:
            with io.TextIOWrapper(stream, encoding=wide) as text:
                for number, line in enumerate(text, 1):
                    yield number, line
        except UnicodeDecodeError as error:
            what = f"not valid {wide.upper()} from about line {number + 1} on"
            raise Unreadable(f"{what}: save it as UTF-8") from error


def _object(text: str) -> Mapping[str, Any]:
    record = _json(text)
    if not isinstance(record, dict):
        raise Unreadable('not a JSON object: write {"text": "..."}')
    return record


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        what = f": {error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        if what and isinstance(error, json.JSONDecodeError) and error.lineno > 1:
            what = f": {error.msg} at line {error.lineno}, column {error.colno}"
        raise Unreadable(f"not JSON{what}") from error


def load_json(file: File, reading: Reading) -> Iterator[Raw | Skipped]:
    """Yield the records of a JSON file: an array of objects, one object, or an object that holds one such array."""
    text, note = file.text(reading)
    if is_blank(text):
        raise Unreadable("empty")
    found = _json(text)
    if isinstance(found, dict):
        if isinstance(found.get(reading.fields.text), str):
            yield replace(raw_of(found, file.name, reading.fields), note=note, record=False)
            return
        arrays = [value for value in found.values() if _is_records(value)]
        if len(arrays) != 1:
            raw_of(found, file.name, reading.fields)  # it says which keys there are
        found = arrays[0] if arrays else []
    if not isinstance(found, list):
        raise Unreadable('neither a JSON object nor an array of them: write [{"text": "..."}]')
    yield from _records(found, file, reading)


def _is_records(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _records(items: Sequence[Any], file: File, reading: Reading) -> Iterator[Raw | Skipped]:
    for number, item in enumerate(items, 1):
        name = f"{file.name}:{number}"
        try:
            if not isinstance(item, dict):
                raise Unreadable('not a JSON object: write {"text": "..."}')
            yield raw_of(item, name, reading.fields)
        except Unreadable as error:
            yield Skipped(name=name, reason=f"record {number}: {error}")


LINES = Loader(load_lines, "JSON lines", "a line")
JSON = Loader(load_json, "JSON", "an object")
