"""Reading source documents from files and folders, one at a time, and fitting them to a model's context.

A file that cannot be used is skipped with its reason and the rest goes on; only a path mistyped is an error.
"""

from __future__ import annotations

import codecs
import importlib.util
import json
import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, Literal

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import document_id, normalise_text
from autodata.checkpoints.records import Document, Skipped
from autodata.checkpoints.texts import is_blank

SUFFIXES: Final = (".txt", ".md", ".pdf", ".jsonl")
"""The kinds of files that are read. In folders all others are passed over."""

MAX_NAME_CHARS: Final = 200
MAX_BAD_LINES: Final = 1000
"""Lines of one .jsonl file that are no documents and are told one by one; further ones are counted."""

_BOM_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_HEADING: Final = re.compile(r"#[ \t]+(?P<title>\S.*)")
_FENCE: Final = re.compile(r"[ \t]*(?:```|~~~)")
_SENTENCE_END: Final = re.compile(r"[.!?\u2026][\"'\u201d\u2019)\]]*(?=\s)|[\u3002\uff01\uff1f]")
_LAST_WORD: Final = re.compile(r"\s\S*\Z")


@dataclass(frozen=True)
class _File:
    """A file to read, and how it is called: relative to the folder that was given, else its file name."""

    path: Path
    name: str


@dataclass(frozen=True)
class _Record:
    """A document given as a value, and how it is called where it has no `id`."""

    values: Mapping[str, Any]
    name: str


@dataclass(frozen=True)
class _Raw:
    """A text before it is known to be usable. `title` is empty when the source does not state one."""

    name: str
    text: str
    title: str = ""
    note: str = ""


class _Unreadable(Exception):
    """A file that has no usable text, with the reason."""


Source = Path | Mapping[str, Any]
"""A file, a folder, or what a line of a `.jsonl` file holds: `text`, and perhaps `id` and `title`."""


def read_documents(
    paths: Sequence[Source], *, limit: int | None = None, passed_over: list[Skipped] | None = None
) -> Iterator[Document | Skipped]:
    """Return the documents of files, folders and records in order, and for each one that cannot be used, why.

    Folders are read with all their folders, also those behind links, sorted by name. `passed_over` is filled at once
    with what is left out of them, and why: files of another kind, hidden ones, links to a folder that is read already.
    `.jsonl` files hold one document a line: `text`, and perhaps `id` and `title`; a record holds the same. `limit` ends
    the reading after that many Documents. Only one file's text at a time is in memory. Raises UserError at once, before
    anything is read, when a path does not exist, a folder cannot be read or holds no file of a kind that can, or a PDF
    is to be read without pypdf.
    """
    left_out = [] if passed_over is None else passed_over
    files: list[_File | _Record] = []
    for number, path in enumerate(paths):
        files += _files_of(path, left_out) if isinstance(path, Path) else [_Record(path, f"documents[{number}]")]
    pdf = next((file for file in files if isinstance(file, _File) and file.path.suffix.lower() == ".pdf"), None)
    if pdf is not None and importlib.util.find_spec("pypdf") is None:
        raise UserError(f"{pdf.path}: reading PDF files needs pypdf: pip install 'autodata-langgraph[pdf]'")
    return _limited(_read(files), limit)


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
    text = document.text[: _cut_position(document.text, max_chars)].rstrip()
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


def _files_of(path: Path, left_out: list[Skipped]) -> list[_File]:
    if os.path.isdir(path):
        files = sorted(_walk(path, left_out), key=lambda file: Path(file.name).parts)
        if not files:
            kinds = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
            raise UserError(f"{path}: no {kinds} file in this folder: name files or a folder that holds some")
        return files
    if not os.path.lexists(path):
        raise UserError(f"{path}: no such file or folder: check the path")
    return [_File(path, _one_line(path.name))]


def _walk(root: Path, left_out: list[Skipped]) -> Iterator[_File]:
    """Yield the files of a folder, each folder once: real ones under their own name, then those behind links."""
    above = {os.path.realpath(parent) for parent in Path(os.path.realpath(root)).parents}
    seen: set[str] = set()
    waiting = [root]
    for start in waiting:
        if (real := os.path.realpath(start)) in seen | above:
            what = "is read already" if real in seen else "holds this one"
            left_out.append(Skipped(_one_line(start.relative_to(root).as_posix()), f"a link to a folder that {what}"))
            continue
        links: list[Path] = []
        for parent, folders, names in os.walk(start, onerror=_refuse_folder):
            inside = Path(parent)
            if (real := os.path.realpath(parent)) in seen:
                folders.clear()
                continue
            seen.add(real)
            for name in folders:
                if name.startswith("."):
                    left_out.append(Skipped(_one_line((inside / name).relative_to(root).as_posix()), "hidden"))
                elif (inside / name).is_symlink():
                    links.append(inside / name)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in names:
                path = inside / name
                shown = _one_line(path.relative_to(root).as_posix())
                if name.startswith("."):
                    left_out.append(Skipped(shown, "hidden"))
                elif path.suffix.lower() not in SUFFIXES:
                    left_out.append(
                        Skipped(shown, f"of kind {path.suffix.lower()}" if path.suffix else "without a suffix")
                    )
                else:
                    yield _File(path, shown)
        waiting += sorted(links)


def _refuse_folder(error: OSError) -> None:
    raise UserError(
        f"{error.filename}: this folder cannot be read ({error.strerror}): allow it or name files"
    ) from error


def _read(files: Sequence[_File | _Record]) -> Iterator[Document | Skipped]:
    seen: dict[str, str] = {}
    for file in files:
        try:
            if isinstance(file, _Record):
                yield _document(_raw(file.values, file.name), "", seen)
                continue
            for raw in _texts(file):
                yield raw if isinstance(raw, Skipped) else _document(raw, file.path.stem, seen)
        except _Unreadable as error:
            yield Skipped(name=file.name, reason=str(error))
        except OSError as error:
            yield Skipped(name=file.name, reason=f"cannot be read: {error.strerror or error}")


def _document(raw: _Raw, stem: str, seen: dict[str, str]) -> Document | Skipped:
    """Return the document of a text, unless it is empty, not text, or was seen before."""
    if "\0" in raw.text:
        return Skipped(name=raw.name, reason="binary: it holds NUL characters")
    try:
        text = normalise_text(raw.text)
        identity = document_id(text)
    except UnicodeEncodeError:
        return Skipped(name=raw.name, reason="not valid Unicode: it holds half a surrogate pair")
    if is_blank(text):
        return Skipped(name=raw.name, reason="empty" if not text else "empty: it holds no visible character")
    if identity in seen:
        return Skipped(name=raw.name, reason=f"the same text as {seen[identity]}")
    seen[identity] = raw.name
    title = _one_line(raw.title) or _heading(text) or re.sub(r"[\W_]+", " ", _one_line(stem)).strip()
    return Document(document_id=identity, name=raw.name, title=title or raw.name, text=text, note=raw.note)


def _texts(file: _File) -> Iterator[_Raw | Skipped]:
    """Yield the texts of one file. Raises _Unreadable or OSError when there is nothing (more) to be had from it."""
    suffix = file.path.suffix.lower()
    if suffix not in SUFFIXES:
        raise _Unreadable(f"unsupported kind of file {suffix or 'without a suffix'!r}: use {', '.join(SUFFIXES)}")
    if file.path.exists() and not file.path.is_file():
        raise _Unreadable("not a regular file")
    if suffix == ".jsonl":
        yield from _records(file)
    elif suffix == ".pdf":
        text, note = _pdf_text(file.path)
        yield _Raw(file.name, text, note=note)
    else:
        yield _Raw(file.name, _decoded(file.path.read_bytes()))


def _decoded(data: bytes) -> str:
    try:
        if data.startswith(_BOM_16):
            return data.decode("utf-16")
        if b"\0" in data:
            raise _Unreadable("binary: it holds NUL characters")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Unreadable(f"not valid {error.encoding.upper()} (at byte {error.start:,}): save it as UTF-8") from error


def _records(file: _File) -> Iterator[_Raw | Skipped]:
    """Yield the records of a .jsonl file. A bad line is skipped with its number; blank lines are nothing.

    Of a file that is something else every line is bad: after MAX_BAD_LINES one note tells how many more there are, and
    where the last one is.
    """
    bad = last = 0
    for number, line in _lines(file.path):
        if not line.strip():
            continue
        if bad >= MAX_BAD_LINES and not _may_have_text(line):
            bad, last = bad + 1, number
            continue
        try:
            text = _decoded(line) if isinstance(line, bytes) else line
            if not is_blank(text):
                yield _record(text, f"{file.name}:{number}")
        except _Unreadable as error:
            bad, last = bad + 1, number
            if bad <= MAX_BAD_LINES:
                yield Skipped(name=f"{file.name}:{number}", reason=f"line {number}: {error}")
    if bad > MAX_BAD_LINES:
        more = bad - MAX_BAD_LINES
        what = "1 more line is no document" if more == 1 else f"{more:,} more lines are no documents"
        yield Skipped(name=file.name, reason=f"{what}, the last of them line {last}")


def _may_have_text(line: bytes | str) -> bool:
    """Whether a line can be an object with the key "text" at all; its letters may be escaped."""
    if len(line) < len('{"text":"."}'):
        return False
    if isinstance(line, str):
        return "text" in line or "\\u00" in line
    return b"text" in line or b"\\u00" in line


def _lines(path: Path) -> Iterator[tuple[int, bytes | str]]:
    with path.open("rb") as stream:
        is_utf_16 = stream.read(2) in _BOM_16
        if not is_utf_16:
            stream.seek(0)
            yield from enumerate(stream, 1)
            return
    number = 0
    try:
        with path.open(encoding="utf-16") as text:
            for number, line in enumerate(text, 1):
                yield number, line
    except UnicodeDecodeError as error:
        raise _Unreadable(f"not valid UTF-16 from about line {number + 1} on: save it as UTF-8") from error


def _record(line: str, name: str) -> _Raw:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        what = f": {error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise _Unreadable(f"not JSON{what}") from error
    if not isinstance(record, dict):
        raise _Unreadable('not a JSON object: write {"text": "..."}')
    return _raw(record, name)


def _raw(record: Mapping[str, Any], name: str) -> _Raw:
    text, given_id, title = record.get("text"), record.get("id"), record.get("title")
    if not isinstance(text, str):
        raise _Unreadable('no "text"' if text is None else '"text" is not a string')
    if isinstance(given_id, bool) or not isinstance(given_id, str | int | None):
        raise _Unreadable('"id" is neither a string nor an integer')
    if not isinstance(title, str | None):
        raise _Unreadable('"title" is not a string')
    return _Raw(_one_line("" if given_id is None else str(given_id)) or name, text, title or "")


def _pdf_text(path: Path) -> tuple[str, str]:
    """Return the text of a PDF, pages parted by blank lines, and a note of what could not be read of it."""
    import pypdf  # noqa: PLC0415 - an optional extra
    from pypdf.errors import DependencyError, PyPdfError  # noqa: PLC0415 - the same

    if not path.stat().st_size:
        raise _Unreadable("empty")
    # Damaged files make pypdf fail in whatever way the damage leads to.
    faults = (PyPdfError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError)
    more_faults = (NotImplementedError, RecursionError, zlib.error, struct.error)
    pages: list[str] = []
    try:
        with pypdf.PdfReader(path) as reader:
            # A file that only restricts what may be done with it has the empty password: anybody may read it.
            if reader.is_encrypted and not reader.decrypt(""):
                raise _Unreadable("encrypted PDF: save a copy without a password")
            for page in reader.pages:
                try:
                    pages.append(page.extract_text())
                except (*faults, *more_faults):
                    pages.append("")
    except DependencyError as error:
        raise _Unreadable(f"encrypted PDF ({_one_line(str(error))}): pip install 'autodata-langgraph[pdf]'") from error
    except (*faults, *more_faults) as error:
        raise _Unreadable(f"damaged PDF: {_one_line(str(error)) or type(error).__name__}") from error
    # pypdf may give one letter as the two halves of a pair; half of one is no letter.
    text = "\n\n".join(pages).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if is_blank(text.replace("\0", "")):
        raise _Unreadable("PDF without text (a scan?): run character recognition (OCR) on it first")
    notes = []
    if lost := [str(n) for n, page in enumerate(pages, 1) if is_blank(page.replace("\0", ""))]:
        shown = ", ".join(lost[:5]) + (f" and {len(lost) - 5:,} more" if len(lost) > 5 else "")
        what = "page" if len(lost) == 1 else "pages"
        notes.append(f"no text could be read from {what} {shown} of {len(pages):,}")
    text = text.replace("\0", "\ufffd")
    if unread := text.count("\ufffd"):
        what = "1 letter" if unread == 1 else f"{unread:,} letters"
        notes.append(f"{what} could not be read and stand as \ufffd in its words")
    return text, "; ".join(notes)


def _heading(text: str) -> str:
    """Return the first Markdown heading of the first level outside of code fences, or nothing."""
    in_code = False
    for line in text.split("\n"):
        if _FENCE.match(line):
            in_code = not in_code
        elif not in_code and (match := _HEADING.fullmatch(line)):
            return _one_line(match["title"].rstrip("# \t") or match["title"])
    return ""


def _one_line(text: str) -> str:
    """Return a name or title as one line of bounded length that can be stored as UTF-8."""
    text = " ".join(text.encode("utf-8", "replace").decode().replace("\0", " ").split())
    return text if len(text) <= MAX_NAME_CHARS else text[: MAX_NAME_CHARS - 1] + "…"


def _cut_position(text: str, max_chars: int) -> int:
    """Return where to cut a text that is longer than `max_chars`."""
    paragraph = text.rfind("\n\n", 0, max_chars + len("\n\n"))
    if paragraph >= max_chars / 2:
        return paragraph
    ends = [match.end() for match in takewhile(lambda m: m.end() <= max_chars, _SENTENCE_END.finditer(text))]
    if ends and ends[-1] >= max_chars / 2:
        return ends[-1]
    word = _LAST_WORD.search(text[: max_chars + 1])
    return word.start() if word and word.start() >= max_chars / 2 else max_chars
