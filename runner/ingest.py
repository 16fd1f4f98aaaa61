"""Taking documents into a run's ledger: each once, and what is none as skipped, with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import document_id, normalise_text
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries.documents import document_ids
from autodata.checkpoints.records import Document, Skipped
from autodata.checkpoints.writes import record_taken_in

FEWEST = 20
"""Letters and digits that a document has at least. Nothing can be asked about fewer, and every round would be paid."""
MOST_NAME_CHARS = 200
BATCH = 200
"""Documents stored in one transaction while they are read."""


def too_short(text: str) -> str:
    """Return why a text is too short to ask about, empty if it is not."""
    held = sum(1 for _ in islice(filter(str.isalnum, text), FEWEST))
    return f"too short to ask about: {held} letters and digits, {FEWEST} are needed" if held < FEWEST else ""


def read_pasted(
    text: str, most_chars: int | None, *, title: str = "", name: str = "", place: str = "text", whose: str = "server"
) -> Document:
    """Return the document of a pasted text.

    `place` is what its field is called, `whose` who sets how long it may be. Raises UserError, which repeats nothing of
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
            f"{place}: {len(text):,} characters where the {whose} takes {most_chars:,}: shorten or split it, or set"
            f" documents.max_chars in the {whose}'s configuration"
        )
    name, title = _one_line(name), _one_line(title)
    title = title or name or _one_line(text.partition("\n")[0].lstrip("# "))
    return Document(document_id=identity, name=name or f"{identity}.txt", title=title, text=text)


def _one_line(text: str) -> str:
    text = " ".join(text.encode("utf-8", "replace").decode().replace("\0", " ").split())
    return text if len(text) <= MOST_NAME_CHARS else text[: MOST_NAME_CHARS - 1] + "…"


async def add_documents(ledger: Ledger, documents: Iterable[Document | Skipped]) -> list[Skipped]:
    """Store documents that the ledger does not hold yet, and inputs that are none as skipped, with the reason."""
    known = await document_ids(ledger)
    refused: list[Skipped] = []
    new: list[Document | Skipped] = []
    for item in documents:
        if isinstance(item, Skipped):
            refused.append(item)
        if item.document_id not in known:
            known.add(item.document_id)
            new.append(item)
        if len(new) >= BATCH:
            await record_taken_in(ledger, new)
            new = []
    if new:
        await record_taken_in(ledger, new)
    return refused
