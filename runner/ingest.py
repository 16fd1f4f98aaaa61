"""Taking documents into a run's ledger: each once, and what is none as skipped, with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import document_id, normalise_text, whole_id
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries.documents import document_ids, known_sources, status_before
from autodata.checkpoints.records import Document, DocumentStatus, Skipped
from autodata.checkpoints.writes import Superseded, record_taken_in

FEWEST = 20
"""Letters and digits that a document has at least. Nothing can be asked about fewer, and every round would be paid."""
MOST_NAME_CHARS = 200
BATCH = 200
"""Documents stored in one transaction while they are read."""

_OLDER = "an older version: its source has another text now"
_SET_ASIDE = "set aside: its source has another text now"
_OPEN = frozenset({DocumentStatus.PENDING, DocumentStatus.WAITING, DocumentStatus.ERRORED})


def too_short(text: str) -> str:
    """Return why a text is too short to ask about, empty if it is not."""
    held = sum(1 for _ in islice(filter(str.isalnum, text), FEWEST))
    return f"too short to ask about: {held} letters and digits, {FEWEST} are needed" if held < FEWEST else ""


def read_pasted(
    text: str,
    most_chars: int | None,
    *,
    title: str = "",
    name: str = "",
    place: str = "text",
    whose: str = "server",
    instead: str = "shorten or split it",
) -> Document:
    """Return the document of a pasted text.

    `place` is what its field is called, `whose` who sets how long it may be, `instead` what to do with a longer one.
    Raises UserError, which repeats nothing of
    the text, for one that is empty, no text, too short to ask about, or longer than `most_chars`.
    """
    try:
        text = normalise_text(text)
        identity = document_id(text)
    except UnicodeEncodeError as error:
        raise UserError(f"{place}: not valid Unicode: it holds half a surrogate pair") from error
    if not text or "\0" in text:
        raise UserError(f"{place}: " + ("binary: it holds NUL characters" if text else "empty: paste a document"))
    if short := too_short(text):
        raise UserError(f"{place}: {short}")
    if most_chars is not None and len(text) > most_chars:
        raise UserError(
            f"{place}: {len(text):,} characters where the {whose} takes {most_chars:,}: {instead}, or set"
            f" documents.max_chars in the {whose}'s configuration"
        )
    name, title = _one_line(name), _one_line(title)
    title = title or name or _one_line(text.partition("\n")[0].lstrip("# "))
    return Document(document_id=identity, name=name or f"{identity}.txt", title=title, text=text)


def _one_line(text: str) -> str:
    text = " ".join(text.encode("utf-8", "replace").decode().replace("\0", " ").split())
    return text if len(text) <= MOST_NAME_CHARS else text[: MOST_NAME_CHARS - 1] + "…"


@dataclass
class Ingested:
    """What became of inputs that were taken into a ledger."""

    skipped: list[Skipped] = field(default_factory=list)
    """What is no usable document."""
    replaced: list[tuple[str, str]] = field(default_factory=list)
    """Names of documents whose source has another text now, with where the older text's document stood."""
    back: list[str] = field(default_factory=list)
    """Names of documents that had been replaced and whose text is there again."""


async def add_documents(ledger: Ledger, documents: Iterable[Document | Skipped]) -> list[Skipped]:
    """Store documents that the ledger does not hold yet, and inputs that are none as skipped, with the reason."""
    return (await ingest(ledger, documents)).skipped


async def ingest(ledger: Ledger, documents: Iterable[Document | Skipped]) -> Ingested:
    """Add documents as `add_documents` does; a document whose source has another text now takes the older one's place.

    The older one is set aside where it has not ended: nothing more is paid for it. Where it has, all of it stays, its
    example too, and is marked by the newer one's id and in its note.
    """
    known = await document_ids(ledger)
    before = await known_sources(ledger)
    found = Ingested()
    wholes: set[str] = set()
    by_source: dict[str, str] = {}
    new: list[Document | Skipped] = []
    for item in documents:
        if isinstance(item, Skipped):
            found.skipped.append(item)
        else:
            wholes.add(whole_id(item.document_id))
            if item.source and whole_id(by_source.get(item.source, "")) != whole_id(item.document_id):
                by_source[item.source] = item.document_id
        if item.document_id not in known:
            known.add(item.document_id)
            new.append(item)
        if len(new) >= BATCH:
            await record_taken_in(ledger, new)
            new = []
    changes = await _changed(ledger, before, wholes, by_source, found)
    if new or changes:
        await record_taken_in(ledger, new, changes)
    return found


async def _changed(
    ledger: Ledger,
    before: Iterable[Mapping[str, Any]],
    wholes: Collection[str],
    by_source: Mapping[str, str],
    found: Ingested,
) -> list[Superseded]:
    """Return what becomes of documents whose source has another text now, or theirs again."""
    changes: list[Superseded] = []
    for row in before:
        document, there = row["document_id"], whole_id(row["document_id"]) in wholes
        newer = by_source.get(row["source"], "")
        if there and row["replaced_by"]:
            found.back.append(row["name"])
            note = row["note"].removesuffix(_OLDER).rstrip("; ")
            skipped = row["status"] == DocumentStatus.SKIPPED
            status = DocumentStatus(await status_before(ledger, document)) if skipped else None
            changes.append(Superseded(document, "", note, status))
        elif not there and newer and not row["replaced_by"] and row["status"] != DocumentStatus.SKIPPED:
            found.replaced.append((row["name"], row["status"]))
            note = f"{row['note']}; {_OLDER}" if row["note"] else _OLDER
            # Nothing is left to do for one that is set aside: its thread is not taken to an end.
            aside = row["status"] in _OPEN
            status, reason = (DocumentStatus.SKIPPED, _SET_ASIDE) if aside else (None, "")
            changes.append(Superseded(document, newer, note, status, reason, settled=aside))
    return changes
