"""Reading source documents one at a time, wherever they come from, and fitting them to a model's context.

A file that cannot be used is skipped with its reason and the rest goes on; only a path mistyped is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import document_id, normalise_text
from autodata.checkpoints.records import Document, Skipped
from autodata.checkpoints.texts import cut_position, is_blank
from autodata.corpus.away import data_set, fetched, require_away, shown
from autodata.corpus.loaders.base import File, Loader, Raw, Reading, Unreadable, one_line
from autodata.corpus.loaders.records import raw_of
from autodata.corpus.sources import Away, Finder, Item, Readable, Record, Source, Unfit

__all__ = ["Source", "fit", "read_documents"]

_HEADING: Final = re.compile(r"#[ \t]+(?P<title>\S.*)")
_FENCE: Final = re.compile(r"[ \t]*(?:```|~~~)")


def read_documents(
    sources: Sequence[Source],
    *,
    reading: Reading | None = None,
    limit: int | None = None,
    passed_over: list[Skipped] | None = None,
    standard_input: Callable[[], bytes] | None = None,
) -> Iterator[Document | Skipped]:
    """Return the documents of files, folders, addresses and records in order, and for each that cannot be used, why.

    Folders are read with all their folders, also those behind links, sorted by name. `passed_over` is filled at once
    with what is left out of them, and why: files of another kind, hidden ones, links to a folder that is read already.
    Tables and lines of JSON hold one document a row; a record holds the same. `limit` ends the reading after that many
    Documents. Only one file's text at a time is in memory. `standard_input` reads what `-` stands for. Raises UserError
    at once, before anything is read, when a path does not exist, a folder cannot be read or holds no file of a kind
    that can, or a format is to be read whose library is missing; later only for the format of what was fetched.
    """
    how = reading or Reading()
    finder = Finder([] if passed_over is None else passed_over, how.version, standard_input)
    items: list[Item] = []
    for number, source in enumerate(sources):
        items += finder.items_of(source, number)
    for item in items:
        if isinstance(item, Away):
            require_away(item.address)
    return _limited(_read(items, how), limit)


def fit(document: Document, max_chars: int, too_long: Literal["cut", "refuse"]) -> Document | Skipped:
    """Return a document that has at most `max_chars` characters, or why it is refused.

    A longer text is cut after its last paragraph that fits, else after its last sentence, else after its last word: the
    first of these that keeps at least half of `max_chars`. The note says so; `document_id` stays that of the whole.
    """
    chars = len(document.text)
    if chars <= max_chars:
        return document
    if max_chars < 1:
        return Skipped(
            name=document.name,
            reason="the model's context leaves no room for a document: use a model with a larger one",
        )
    if too_long == "refuse":
        reason = f"{chars:,} characters where the model's context has room for {max_chars:,}: shorten or split it"
        return Skipped(name=document.name, reason=f'{reason}, or set too_long = "cut"')
    text = document.text[: cut_position(document.text, max_chars)].rstrip()
    note = f"cut from {chars:,} to {len(text):,} characters to fit the model's context"
    return document.model_copy(update={"text": text, "note": f"{document.note}; {note}" if document.note else note})


def _limited(found: Iterator[Document | Skipped], limit: int | None) -> Iterator[Document | Skipped]:
    left = limit
    while left is None or left > 0:
        item = next(found, None)
        if item is None:
            return
        yield item
        if left is not None and isinstance(item, Document):
            left -= 1


def _read(items: Sequence[Item], reading: Reading) -> Iterator[Document | Skipped]:
    seen: dict[str, str] = {}
    for item in items:
        name = _name_of(item)
        try:
            for raw, stem, source in _texts(item, reading):
                yield raw if isinstance(raw, Skipped) else _document(raw, stem, source, seen, spelled=reading.spelled)
        except Unreadable as error:
            yield Skipped(name=name, reason=str(error))
        except OSError as error:
            yield Skipped(name=name, reason=f"cannot be read: {error.strerror or error}")
        except UserError:
            raise
        except Exception as error:  # noqa: BLE001 - one file that a loader fails at must not end the reading of others
            yield Skipped(name=name, reason=f"its loader failed: {one_line(f'{type(error).__name__}: {error}')}")


def _name_of(item: Item) -> str:
    if isinstance(item, Readable):
        return item.file.name
    if isinstance(item, Away):
        return shown(item.address)
    return item.name if isinstance(item, Record) else item.skipped.name


def _texts(item: Item, reading: Reading) -> Iterator[tuple[Raw | Skipped, str, str]]:
    """Yield the texts of one item, each with what its title is made of and what it is known by later.

    Raises Unreadable or OSError when there is nothing (more) to be had from it.
    """
    if isinstance(item, Unfit):
        yield item.skipped, "", ""
    elif isinstance(item, Record):
        yield raw_of(item.values, item.name, reading.fields), "", ""
    elif isinstance(item, Away) and item.address.startswith("hf://"):
        for raw in data_set(item.address, reading):
            yield raw, item.address.removeprefix("hf://"), ""
    else:
        file, loader, source = _opened(item)
        stem = file.stem
        for raw in loader.load(file, reading):
            yield raw, stem, _known_by(source, raw)


def _opened(item: Readable | Away) -> tuple[File, Loader, str]:
    if isinstance(item, Readable):
        return item.file, item.loader, item.source
    return *fetched(item.address), shown(item.address)


def _known_by(source: str, raw: Raw | Skipped) -> str:
    """Return what a text is known by in later sessions, empty for what only its place in a file distinguishes."""
    if isinstance(raw, Skipped) or not source or (raw.record and not raw.key):
        return ""
    return f"{source}#{raw.key}" if raw.record else source


def _document(raw: Raw, stem: str, source: str, seen: dict[str, str], *, spelled: bool) -> Document | Skipped:
    """Return the document of a text, unless it is empty, not text, or was seen before."""
    if "\0" in raw.text:
        return Skipped(name=raw.name, reason="binary: it holds NUL characters")
    try:
        text = normalise_text(_without_unseen(raw.text) if spelled and raw.layout == "prose" else raw.text)
        identity = document_id(text)
    except UnicodeEncodeError:
        return Skipped(name=raw.name, reason="not valid Unicode: it holds half a surrogate pair")
    if is_blank(text):
        return Skipped(name=raw.name, reason="empty" if not text else "empty: it holds no visible character")
    if identity in seen:
        return Skipped(name=raw.name, reason=f"the same text as {seen[identity]}")
    seen[identity] = raw.name
    heading = _heading(text) if raw.layout == "prose" else ""
    title = one_line(raw.title) or heading or re.sub(r"[\W_]+", " ", one_line(stem)).strip() or raw.name
    source = one_source(source)
    return Document(
        document_id=identity, name=raw.name, title=title, text=text, note=raw.note, source=source, layout=raw.layout
    )


_UNSEEN: Final = str.maketrans({0xAD: None, 0x2060: None, 0xFEFF: None})
"""Where a line may break or must not, within a word: a soft hyphen, a word joiner, a byte order mark."""


def _without_unseen(text: str) -> str:
    """Return a text without signs within its words that nobody sees: a word is the same with them and without."""
    return text if text.isascii() else text.translate(_UNSEEN)


def one_source(source: str) -> str:
    """Return what a document is known by as text that can be stored as UTF-8."""
    return source.encode("utf-8", "replace").decode().replace("\0", " ")


def _heading(text: str) -> str:
    """Return the first Markdown heading of the first level outside of code fences, or nothing."""
    in_code = False
    for line in text.split("\n"):
        if _FENCE.match(line):
            in_code = not in_code
        elif not in_code and (match := _HEADING.fullmatch(line)):
            return one_line(match["title"].rstrip("# \t") or match["title"])
    return ""
