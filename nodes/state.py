"""What travels through the graph: the state of one document's thread, and what a graph answers with.

State is small and whole (rule 5): candidate, attempts with their marks, verdict, feedback and closed rounds are in it;
documents and raw answers are references into the ledger.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from autodata.checkpoints.records import Document, Record
from autodata.checkpoints.texts import preview


class State(TypedDict, total=False):
    """State of one document's thread. Values are plain JSON; the records' names say what each holds."""

    document: dict[str, Any]
    """document_id, name, title, chars, preview."""
    n: int
    """Number of the current round, from 1."""
    passage: dict[str, str] | None
    """text and anchor, where the domain picks passages."""
    extract: dict[str, Any] | None
    """What the extractor made of the document, once."""
    grounding: list[str]
    """Ids of the documents shown as examples, fixed when the thread starts."""
    queue: list[dict[str, Any]]
    """Candidates that the screen found promising and that wait for their round."""
    candidate: dict[str, Any] | None
    candidate_id: str
    quality: dict[str, Any] | None
    attempts: list[dict[str, Any]]
    stopping: dict[str, Any] | None
    """What adaptive stopping goes by at the current candidate: candidate_id, walked, and the fit."""
    verdict: dict[str, Any] | None
    judgement: dict[str, Any] | None
    """What the loop judge found: its eight fields."""
    confirmation: dict[str, Any] | None
    """What fresh attempts at the candidate scored, in a run that confirms its examples."""
    rejection: dict[str, Any] | None
    """failure_mode and reason of the current round, once it is rejected."""
    feedback: str
    """What the next challenger sees of the failures so far."""
    rounds: list[dict[str, Any]]
    reviews: int
    """How many answers people gave in this thread."""
    asked: dict[str, Any] | None
    """The question that is open, if one is: label_id, at (milliseconds since 1970), and why an answer was not taken."""
    answered: str
    """Identifies the last answer that counted."""
    status: str
    status_reason: str
    example: dict[str, Any] | None


class Output(TypedDict, total=False):
    """What a graph answers with: the example and how it came about, whole. It refers to no ledger (rule 5)."""

    status: str
    """A DocumentStatus: accepted, rejected or skipped."""
    status_reason: str
    example: dict[str, Any] | None
    """An Example as plain JSON; None unless the document was accepted."""
    rounds: list[dict[str, Any]]
    """Every closed round, a Round each, in order."""


def new_state(document: Document) -> State:
    """Return the input of a document's thread."""
    return State(
        document={
            "document_id": document.document_id,
            "name": document.name,
            "title": document.title,
            "chars": len(document.text),
            "preview": preview(document.text),
        },
        n=0,
        queue=[],
        rounds=[],
        reviews=0,
        feedback="",
        status="",
        status_reason="",
        example=None,
    )


def plain(record: Record) -> dict[str, Any]:
    """Return a record as plain JSON values, for state."""
    return record.model_dump(mode="json")
