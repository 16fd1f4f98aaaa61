"""What every loader speaks: a file to read, how it is to be read, the texts that come out, and why one cannot."""

from __future__ import annotations

import gzip
import importlib.util
import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Literal, cast

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.records import Skipped
from autodata.corpus.loaders.encodings import CannotDecode, decoded

MOST_NAME_CHARS: Final = 200
MOST_UNPACKED: Final = 500_000_000
"""Bytes that a packed file may unpack to."""

Layout = Literal["prose", "code"]
"""What a text is made of: paragraphs under headings, or definitions."""

INSTALL: Final = "pip install 'autodata-langgraph[{extra}]'"


class Unreadable(Exception):
    """A file, or a record of one, that has no usable text, with the reason."""


@dataclass(frozen=True)
class Fields:
    """The keys of a record, or columns of a table, that hold a document's text, title and id."""

    text: str = "text"
    title: str = "title"
    id: str = "id"


@dataclass(frozen=True)
class Reading:
    """How files are read."""

    fields: Fields = Fields()
    encoding: str = ""
    """The encoding of text files that are no Unicode; empty: it is guessed where there is little doubt."""
    version: int = 3
    """Version of the rules. 1 reads what the first reader read, as it read it, for run folders begun with it; 2 reads
    all formats, without what `spelled` stands for."""

    @property
    def spelled(self) -> bool:
        """Whether formulas, powers, charts and cells over several rows are spelled out, and code keeps its signs."""
        return self.version > 2


@dataclass(frozen=True)
class Raw:
    """A text before it is known to be usable."""

    name: str
    text: str
    title: str = ""
    """Empty when the source does not state one: then a heading of the text, or the file's name, is the title."""
    note: str = ""
    layout: Layout = "prose"
    key: str = ""
    """What names a record within its file whatever stands before it: its id. Empty for the only text of a file."""
    record: bool = False
    """Whether it is one of several documents of its file."""


@dataclass(frozen=True)
class File:
    """A file to read: where its bytes are, and how it is called.

    `suffix` is that of its format, in lower case, without a `.gz` behind it.
    """

    name: str
    suffix: str
    opened: Callable[[], IO[bytes]] = field(repr=False)
    """Opens it anew, from its beginning; the stream can be searched. Raises OSError."""
    path: Path | None = None
    """Where it is on this machine; None for what was fetched or came by standard input."""

    @property
    def stem(self) -> str:
        """Its name without folders and suffixes, from which a title is made."""
        name = self.name.rpartition("/")[2]
        name = name[:-3] if name.lower().endswith(".gz") else name
        return Path(name).stem if name.lower().endswith(self.suffix) else name

    def read(self) -> bytes:
        """Return all its bytes. Raises OSError, and Unreadable for a damaged archive."""
        with self.opened() as stream:
            try:
                data = stream.read(MOST_UNPACKED + 1) if self.name.lower().endswith(".gz") else stream.read()
                if len(data) > MOST_UNPACKED and self.name.lower().endswith(".gz"):
                    raise Unreadable(f"it unpacks to more than {MOST_UNPACKED:,} bytes")
                return data
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise Unreadable(f"damaged gzip file: {one_line(str(error))}") from error

    def text(self, reading: Reading) -> tuple[str, str]:
        """Return it as text, with a note where its encoding was guessed. Raises OSError and Unreadable."""
        return as_text(self.read(), reading)


def as_text(data: bytes, reading: Reading) -> tuple[str, str]:
    """Return bytes as text, with a note where their encoding was guessed. Raises Unreadable."""
    try:
        return decoded(data, reading.encoding, guess=reading.version > 1)
    except CannotDecode as error:
        raise Unreadable(str(error)) from error


def file_at(path: Path, name: str) -> File:
    """Return a file of this machine, unpacked as it is read where its name ends in `.gz`."""
    packed = path.suffix.lower() == ".gz"
    suffix = suffix_of(path.name)

    def opened() -> IO[bytes]:
        return cast(IO[bytes], gzip.open(path)) if packed else path.open("rb")

    return File(name, suffix, opened, path)


def file_of(data: bytes, name: str, suffix: str) -> File:
    """Return a file whose bytes are in memory."""
    return File(name, suffix, lambda: io.BytesIO(data))


def suffix_of(name: str) -> str:
    """Return the suffix of a file's format in lower case, without a `.gz` behind it; empty when it has none."""
    name = name.lower()
    return Path(name.removesuffix(".gz")).suffix


Load = Callable[[File, Reading], Iterator[Raw | Skipped]]
"""Yields the texts of a file, and for each of its records that is none, why.

It raises Unreadable or OSError when there is nothing (more) to be had from the file.
"""


@dataclass(frozen=True)
class Loader:
    """A format of documents. What installed packages add may be a `Load` alone: a function of a file and a Reading."""

    load: Load
    family: str = ""
    """What people call the format."""
    unit: str = "the file"
    """What becomes one document."""
    parts: str = "headings"
    """Where a long one is parted."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """Module -> the extra of this package that installs it."""

    def require(self, name: str) -> None:
        """Raise UserError, naming the file and what to type, when a module that the format needs is missing."""
        for module, extra in self.needs.items():
            if importlib.util.find_spec(module) is None:
                raise UserError(f"{name}: reading {self.family} files needs {module}: {INSTALL.format(extra=extra)}")


def one_line(text: str) -> str:
    """Return a name, title or message as one line of bounded length that can be stored as UTF-8."""
    text = " ".join(text.encode("utf-8", "replace").decode().replace("\0", " ").split())
    return text if len(text) <= MOST_NAME_CHARS else text[: MOST_NAME_CHARS - 1] + "…"
