"""The documents that a job was given, and what a person must know of them before anything is paid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import open_readonly
from autodata.checkpoints.places import has_ledger, ledger_place
from autodata.checkpoints.queries.meta import meta
from autodata.checkpoints.records import Document, DocumentStatus, Skipped
from autodata.corpus.documents import fit, read_documents
from autodata.corpus.loaders.base import Fields, Reading
from autodata.corpus.sources import Source, some_suffixes, suffixes_of
from autodata.runner.chunks import chunked
from autodata.runner.config import Configured, RunConfig, as_begun
from autodata.runner.ingest import Ingested, too_short

SHOWN_SKIPPED = 10
"""Skipped inputs, and documents with a note, that are named one by one."""
SHOWN_CUT = 3
"""Documents that were cut or parted, named in one line."""


async def as_folder_began(config: Configured, folder: Path | None) -> Configured:
    """Return a configuration as the run folder was begun, where there is one: what it read is read in the same way."""
    if folder is None or not has_ledger(folder):
        return config
    async with open_readonly(ledger_place(folder)) as ledger:
        return as_begun(config, await meta(ledger))


def reading_of(config: RunConfig) -> Reading:
    """Return how a configuration has files read."""
    given = config.documents
    return Reading(Fields(given.text_field, given.title_field, given.id_field), given.encoding, given.reader)


class Inputs:
    """Documents of files and folders, read and fitted one at a time, once; what was done to them is remembered.

    Raises UserError at once for a path that is none, as `read_documents` does.
    """

    def __init__(self, config: RunConfig, paths: Sequence[Source]) -> None:
        """Look at the paths; nothing is read yet. A domain that picks passages takes documents of any length."""
        bounded = config.chosen_domain.passage_words is None or config.chunks
        self._max_chars = config.max_chars if bounded else None
        self._parts = config.documents.max_chunks if config.chunks else None
        self._too_long = config.documents.too_long
        self._limit = config.limit
        self._suffixes = suffixes_of(config.documents.reader)
        self._passed_over: list[Skipped] = []
        self._cut: dict[str, tuple[int, int]] = {}
        self._parted: dict[str, tuple[int, int, int]] = {}
        self._noted: list[tuple[str, str]] = []
        self._found: Iterator[Document | Skipped] = (
            read_documents(paths, reading=reading_of(config), passed_over=self._passed_over) if paths else iter(())
        )

    def __iter__(self) -> Iterator[Document | Skipped]:
        """Yield documents that what the model's context has room for holds, and inputs that are none."""
        left = self._limit
        while left is None or left > 0:
            whole = next(self._found, None)
            if whole is None:
                return
            if isinstance(whole, Document) and whole.note:
                self._noted.append((whole.name, whole.note))
            for item in [whole] if isinstance(whole, Skipped) else self._fitted(whole, left):
                short = too_short(item.text) if isinstance(item, Document) else ""
                yield Skipped(name=item.name, reason=short) if short else item
                if left is not None and isinstance(item, Document):
                    left -= 1

    def _fitted(self, whole: Document, left: int | None) -> Sequence[Document | Skipped]:
        """Return a document as it is, in parts, or cut; `left` is how many documents are still to be found."""
        most = self._max_chars
        if most is None or len(whole.text) <= most:
            return [whole]
        if self._parts is not None and most >= 1:
            found = chunked(whole, most, self._parts)
            self._parted[whole.name] = (len(found.parts), found.left_out, found.left_out_chars)
            return found.parts[:left]
        fitted = fit(whole, most, self._too_long)
        if isinstance(fitted, Document) and len(fitted.text) < len(whole.text):
            self._cut[whole.name] = (len(whole.text), len(fitted.text))
        return [fitted]

    def lines(self, found: Ingested | Sequence[Skipped], out: Path | None) -> list[str]:
        """Return what a person must know of the documents read: skipped, changed, lost parts, parted, cut, left out.

        `out` is the folder that holds the rest of a long list, None where it will be gone.
        """
        found = found if isinstance(found, Ingested) else Ingested([*found])
        lines = _some([f"skipped: {item.name}: {item.reason}" for item in found.skipped], "skipped", out)
        lines += _some([_changed(name, status) for name, status in found.replaced], "changed", out)
        lines += _some(
            [f"changed back: {name}: its text is as it was, and goes on" for name in found.back], "changed back", out
        )
        lines += _some([f"note: {name}: {note}" for name, note in self._noted], "noted", out)
        lines += filter(None, [self._parted_line(), self._left_out_line(), self._cut_line(), self._passed_over_line()])
        return lines

    def nothing_usable(self, found: Sequence[Skipped]) -> UserError:
        """Return what is raised when no input is a usable document: how many, and why the first was none."""
        first = f"{found[0].name}: {found[0].reason}" if found else "nothing was read"
        more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
        return UserError(f"no document can be used: {first}{more}: mend them, or give others with --documents PATH")

    def _parted_line(self) -> str:
        if not self._parted:
            return ""
        parts = sum(count for count, _, _ in self._parted.values())
        named = _named({name: f"{count:,} parts" for name, (count, _, _) in self._parted.items()})
        what = _count(len(self._parted), "long document")
        return f"parted: {what} into {_count(parts, 'part')} of at most {self._max_chars:,} characters: {named}"

    def _left_out_line(self) -> str:
        short = {name: (count, chars) for name, (_, count, chars) in self._parted.items() if count}
        if not short:
            return ""
        parts, chars = (sum(column) for column in zip(*short.values(), strict=True))
        named = _named({name: f"{count:,}" for name, (count, _) in short.items()})
        what = f"the last {_count(parts, 'part')} of {_count(len(short), 'document')}, {chars:,} characters"
        return f"left out: {what}: {named}: raise documents.max_chunks, now {self._parts:,}, to take them"

    def _cut_line(self) -> str:
        if not self._cut:
            return ""
        whole, left = (sum(chars) for chars in zip(*self._cut.values(), strict=True))
        named = _named({name: f"{before:,} to {after:,} characters" for name, (before, after) in self._cut.items()})
        return (
            f"cut: {_count(len(self._cut), 'document')} to fit the model's context, {whole - left:,} of {whole:,}"
            f" characters left out: {named}"
        )

    def _passed_over_line(self) -> str:
        if not self._passed_over:
            return ""
        reasons = Counter(item.reason for item in self._passed_over)
        counted = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common(SHOWN_SKIPPED))
        return (
            f"left out of the folders: {_count(len(self._passed_over), 'entry', 'entries')}, {counted}"
            f" (read are {some_suffixes(self._suffixes)})"
        )


_BECAME = {
    DocumentStatus.ACCEPTED: "the example of its older version stays, and is marked so",
    DocumentStatus.REJECTED: "its older version was rejected",
}


def _changed(name: str, status: str) -> str:
    became = _BECAME.get(DocumentStatus(status), f"its older version, {status}, is set aside")
    return f"changed: {name}: its newer version is taken; {became}"


def _named(said: Mapping[str, str]) -> str:
    """Return the first documents of a line, each with what is said of it."""
    named = ", ".join(f"{name} ({what})" for name, what in [*said.items()][:SHOWN_CUT])
    return named + (f" and {len(said) - SHOWN_CUT:,} more" if len(said) > SHOWN_CUT else "")


def _some(lines: list[str], what: str, out: Path | None) -> list[str]:
    if len(lines) <= SHOWN_SKIPPED:
        return lines
    where = "" if out is None else f", see 'autodata show {out}'"
    return [*lines[:SHOWN_SKIPPED], f"{what}: {len(lines) - SHOWN_SKIPPED:,} more{where}"]


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"
