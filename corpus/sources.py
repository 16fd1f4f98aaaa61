"""Where documents come from: files, folders, standard input, addresses, data sets; nothing of them is read yet."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.records import Skipped
from autodata.corpus.loaders.base import File, Loader, file_at, file_of, one_line, suffix_of
from autodata.corpus.loaders.registry import FIRST, LOADERS

Source = Path | str | Mapping[str, Any]
"""A file, a folder, `-` for standard input, an address (`https://`, `http://`), a data set (`hf://NAME`), or a record:
`text`, and perhaps `id` and `title`."""

STDIN: Final = "-"
_ADDRESS: Final = re.compile(r"(https?|hf):/{1,2}", re.IGNORECASE)


@dataclass(frozen=True)
class Readable:
    """A file that was found, how it is read, and what it is known by in later sessions; empty when by nothing."""

    file: File
    loader: Loader
    source: str = ""


@dataclass(frozen=True)
class Unfit:
    """What was named and cannot be read, with the reason."""

    skipped: Skipped


@dataclass(frozen=True)
class Record:
    """A document given as a value, and how it is called where it has no `id`."""

    values: Mapping[str, Any]
    name: str


@dataclass(frozen=True)
class Away:
    """What has to be fetched before it can be read: an address or a data set."""

    address: str


Item = Readable | Unfit | Record | Away


def address_of(source: object) -> str:
    """Return the address that a source is, `scheme://...`; empty for one that is none.

    A path loses all but one of slashes that stand side by side: an address that came as a path gets its second back.
    """
    text = source.as_posix() if isinstance(source, Path) else source
    if not isinstance(text, str) or not (match := _ADDRESS.match(text)):
        return ""
    return f"{match[1].lower()}://{text[match.end() :]}"


class Finder:
    """Finds what can be read behind sources. `left_out` gets what is left out of folders, and why."""

    def __init__(
        self, left_out: list[Skipped], version: int, standard_input: Callable[[], bytes] | None = None
    ) -> None:
        """`version` is that of the rules of reading: 1 passes over the formats that the first reader did not read."""
        self.left_out = left_out
        self._known: Collection[str] = FIRST if version == 1 else LOADERS
        self.suffixes = suffixes_of(version)
        self._standard_input = standard_input or _read_stdin

    def items_of(self, source: Source, number: int) -> list[Item]:
        """Return what there is to read of a source, in order; `number` is its place among all. Raises UserError."""
        if isinstance(source, Mapping):
            return [Record(source, f"documents[{number}]")]
        if address := address_of(source):
            return [Away(address)]
        if str(source) == STDIN:
            return [self._of_stdin()]
        path = Path(source)
        if self._known is not FIRST and is_saved(path):
            return [Away(f"hf://{path.as_posix()}")]
        if os.path.isdir(path):
            files = sorted(self._walk(path), key=lambda found: Path(found[1]).parts)
            if not files:
                raise UserError(
                    f"{path}: no file in this folder that can be read: name files, or a folder that holds some"
                    f" ({some_suffixes(self.suffixes)})"
                )
            return [self._item(file, name) for file, name in files]
        if not os.path.lexists(path):
            raise UserError(f"{path}: no such file or folder: check the path")
        return [self._item(path, one_line(path.name))]

    def _item(self, path: Path, name: str) -> Item:
        suffix = suffix_of(path.name)
        if suffix[1:] not in self._known:
            kind = suffix or "without a suffix"
            read = some_suffixes(self.suffixes)
            return Unfit(Skipped(name, f"unsupported kind of file {kind!r}: use {read}"))
        try:
            mode = path.stat().st_mode
        except OSError:
            mode = stat.S_IFREG  # reading it will say what is wrong
        if not stat.S_ISREG(mode):
            return Unfit(Skipped(name, "not a regular file"))
        loader = LOADERS[suffix[1:]]
        loader.require(str(path))
        return Readable(file_at(path, name), loader, os.path.realpath(path))

    def _of_stdin(self) -> Item:
        data = self._standard_input()
        suffix = sniffed(data)
        loader = LOADERS[suffix]
        loader.require("standard input")
        return Readable(file_of(data, "stdin", f".{suffix}"), loader)

    def _walk(self, root: Path) -> Iterator[tuple[Path, str]]:
        """Yield the files of a folder, each folder once: real ones under their own name, then those behind links."""
        above = {os.path.realpath(parent) for parent in Path(os.path.realpath(root)).parents}
        seen: set[str] = set()
        waiting = [root]
        for start in waiting:
            if (real := os.path.realpath(start)) in seen | above:
                what = "is read already" if real in seen else "holds this one"
                self._leave_out(start, root, f"a link to a folder that {what}")
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
                        self._leave_out(inside / name, root, "hidden")
                    elif (inside / name).is_symlink():
                        links.append(inside / name)
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in names:
                    if self._is_read(inside / name, root):
                        yield inside / name, one_line((inside / name).relative_to(root).as_posix())
            waiting += sorted(links)

    def _is_read(self, path: Path, root: Path) -> bool:
        suffix = suffix_of(path.name)
        if path.name.startswith("."):
            self._leave_out(path, root, "hidden")
        elif suffix[1:] not in self._known:
            kind = suffix_of(path.name) or path.suffix.lower()
            self._leave_out(path, root, f"of kind {kind}" if kind else "without a suffix")
        else:
            return True
        return False

    def _leave_out(self, path: Path, root: Path, reason: str) -> None:
        self.left_out.append(Skipped(one_line(path.relative_to(root).as_posix()), reason))


def is_saved(folder: Path) -> bool:
    """Return whether a folder is a data set that the library `datasets` has saved: `save_to_disk`."""
    return (folder / "dataset_dict.json").is_file() or all(
        (folder / name).is_file() for name in ("state.json", "dataset_info.json")
    )


def suffixes_of(version: int) -> list[str]:
    """Return the suffixes of the formats that are read by the rules of a version, with their dots."""
    return [f".{name}" for name in (FIRST if version == 1 else LOADERS)]


def some_suffixes(suffixes: list[str], most: int = 20) -> str:
    """Return suffixes as a message lists them; of many the first, which are not those of code."""
    if len(suffixes) <= most:
        return ", ".join(suffixes)
    return f"{', '.join(suffixes[:most])} and {len(suffixes) - most} more"


_SIGNS: Final = (
    (re.compile(rb"%PDF"), "pdf"),
    (re.compile(rb"PAR1"), "parquet"),
    (re.compile(rb"PK\x03\x04"), "docx"),
    (re.compile(rb"(?:<\?xml[^>]*>\s*)?<(?:!doctype html|html)", re.IGNORECASE), "html"),
    (re.compile(rb"\{[^\n]*\}\s*(?:\n|\Z)"), "jsonl"),
    (re.compile(rb"\{\s*\"|\[\s*\{"), "json"),
)
"""How the formats begin, and what each is called."""


def sniffed(data: bytes) -> str:
    """Return the format of bytes that have no name, as a suffix without its dot: by how they begin, else Markdown."""
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    found = next((suffix for sign, suffix in _SIGNS if sign.match(start)), "md")
    return "pptx" if found == "docx" and b"ppt/presentation.xml" in data else found


def _read_stdin() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise UserError("-: nothing is piped to standard input: pipe a document, or name a file")
    return sys.stdin.buffer.read()


def _refuse_folder(error: OSError) -> None:
    raise UserError(
        f"{error.filename}: this folder cannot be read ({error.strerror}): allow it or name files"
    ) from error
