"""The documents that a job was given, and what a person must know of them before anything is paid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autodata.checkpoints.records import Document, Skipped
from autodata.corpus.documents import SUFFIXES, Source, fit, read_documents
from autodata.runner.ingest import too_short

if TYPE_CHECKING:
    from autodata.runner.config import RunConfig

SHOWN_SKIPPED = 10
"""Skipped inputs, and documents with a note, that are named one by one."""
SHOWN_CUT = 3
"""Documents that were cut, named in one line."""


class Inputs:
    """Documents of files and folders, read and fitted one at a time, once; what was done to them is remembered.

    Raises UserError at once for a path that is none, as `read_documents` does.
    """

    def __init__(self, config: RunConfig, paths: Sequence[Source]) -> None:
        """Look at the paths; nothing is read yet. A domain that picks passages takes documents of any length."""
        self._bounds = config.documents if config.chosen_domain.passage_words is None else None
        self._passed_over: list[Skipped] = []
        self._cut: dict[str, tuple[int, int]] = {}
        self._noted: list[tuple[str, str]] = []
        self._found: Iterator[Document | Skipped] = (
            read_documents(paths, limit=config.limit, passed_over=self._passed_over) if paths else iter(())
        )

    def __iter__(self) -> Iterator[Document | Skipped]:
        """Yield documents cut to what the model's context has room for, and inputs that are none."""
        for item in self._found:
            if isinstance(item, Document) and item.note:
                self._noted.append((item.name, item.note))
            if isinstance(item, Document) and (short := too_short(item.text)):
                yield Skipped(name=item.name, reason=short)
            else:
                yield item if isinstance(item, Skipped) or not self._bounds else self._fitted(item)

    def _fitted(self, whole: Document) -> Document | Skipped:
        assert self._bounds is not None
        fitted = fit(whole, self._bounds.max_chars, self._bounds.too_long)
        if isinstance(fitted, Document) and len(fitted.text) < len(whole.text):
            self._cut[whole.name] = (len(whole.text), len(fitted.text))
        return fitted

    def lines(self, skipped: Sequence[Skipped], out: Path | None) -> list[str]:
        """Return what a person must know of the documents read: skipped, lost parts, cut, left out of folders.

        `out` is the folder that holds the rest of a long list, None where it will be gone.
        """
        lines = _some([f"skipped: {item.name}: {item.reason}" for item in skipped], "skipped", out)
        lines += _some([f"note: {name}: {note}" for name, note in self._noted], "noted", out)
        if self._cut:
            whole, left = (sum(chars) for chars in zip(*self._cut.values(), strict=True))
            named = ", ".join(
                f"{name} ({before:,} to {after:,} characters)"
                for name, (before, after) in list(self._cut.items())[:SHOWN_CUT]
            )
            more = f" and {len(self._cut) - SHOWN_CUT:,} more" if len(self._cut) > SHOWN_CUT else ""
            lines.append(
                f"cut: {_count(len(self._cut), 'document')} to fit the model's context, {whole - left:,} of {whole:,}"
                f" characters left out: {named}{more}"
            )
        if self._passed_over:
            reasons = Counter(item.reason for item in self._passed_over)
            counted = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common(SHOWN_SKIPPED))
            lines.append(
                f"left out of the folders: {_count(len(self._passed_over), 'entry', 'entries')}, {counted}"
                f" (read are {', '.join(SUFFIXES)})"
            )
        return lines


def _some(lines: list[str], what: str, out: Path | None) -> list[str]:
    if len(lines) <= SHOWN_SKIPPED:
        return lines
    where = "" if out is None else f", see 'autodata show {out}'"
    return [*lines[:SHOWN_SKIPPED], f"{what}: {len(lines) - SHOWN_SKIPPED:,} more{where}"]


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"
