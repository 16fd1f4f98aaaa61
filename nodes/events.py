"""What a graph streams while it works (`stream_mode="custom"`): one typed event for each thing that happens in a round.

On the wire an event is a plain JSON object, so that it passes through a parent graph or a server as it is;
`parse_event` reads one. Scores and means are exact fractions in 0..1.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from autodata.checkpoints.records import Attempt, Confirmation, Example, FailureMode, Mark, Stage, Verdict


class Rejection(BaseModel):
    """Why the round goes no further: its failure mode, and the reason in words."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    failure_mode: FailureMode
    reason: str


def rejection_event(rejection: Mapping[str, Any] | None) -> Rejection | None:
    """Return a rejection, as the state holds it, as an event holds it; None for none."""
    return Rejection.model_validate(rejection) if rejection else None


class Place(TypedDict):
    """Where an event happens: what all events of a graph hold."""

    document_id: str
    n: int


class _Event(BaseModel):
    """What all events hold. Keys that a later version adds are dropped."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    document_id: str
    """The document that the event is about."""
    n: int = Field(ge=0)
    """The round, from 1; 0 before the first one."""


class ExtractEvent(_Event):
    """The extractor read the document, once, before the first round (paper, section 4)."""

    event: Literal["extract"] = "extract"
    extract: dict[str, Any]
    skipped: bool
    """Whether the document was found unsuitable, and has ended."""


class DraftsEvent(_Event):
    """Challengers side by side have written; the screen is next (paper, section 5)."""

    event: Literal["drafts"] = "drafts"
    drafts: int = Field(ge=1)
    """How many were written."""
    dropped: list[str]
    """Why code dropped some of them, one reason each."""


class ScreenEvent(_Event):
    """The screen picked the promising drafts; the first is the round's candidate, the others wait."""

    event: Literal["screen"] = "screen"
    picked: int = Field(ge=0)
    of: int = Field(ge=1)
    rejection: Rejection | None
    """Set when none was picked."""


class CandidateEvent(_Event):
    """A round was opened with a question; or with none, when the challenger's reply was malformed."""

    event: Literal["candidate"] = "candidate"
    candidate: dict[str, Any] | None
    """The candidate, whole; its keys depend on the domain's task type."""
    rejection: Rejection | None
    """Set when code rejected it at once: malformed, tried before, or faulty."""


class QualityEvent(_Event):
    """The quality verifier looked at the candidate."""

    event: Literal["quality"] = "quality"
    quality: dict[str, Any]
    """Its findings, with `passed`, which code decided."""
    rejection: Rejection | None


class AttemptEvent(_Event):
    """A solver made one attempt, which has no mark yet."""

    event: Literal["attempt"] = "attempt"
    attempt: Attempt


class MarkEvent(_Event):
    """One attempt was marked."""

    event: Literal["mark"] = "mark"
    mark: Mark
    stage: Stage


class VerdictEvent(_Event):
    """The acceptance policy ruled over all attempts of a stage."""

    event: Literal["verdict"] = "verdict"
    verdict: Verdict


class JudgementEvent(_Event):
    """The loop judge read the pattern of the attempts (paper, section 4)."""

    event: Literal["judgement"] = "judgement"
    judgement: dict[str, Any]
    rejection: Rejection | None


class AuditEvent(_Event):
    """What passed every gate was looked at once more, by calls that are paid for."""

    event: Literal["audit"] = "audit"
    audit: dict[str, Any]
    """Scores of canaries by name and of the answer from the context alone, as fractions; and whether it `passed`."""
    rejection: Rejection | None


class ConfirmingEvent(_Event):
    """Fresh attempts at an accepted candidate begin."""

    event: Literal["confirming"] = "confirming"
    attempts: int = Field(ge=1)
    """How many each solver makes."""


class ConfirmedEvent(_Event):
    """The fresh attempts were made and marked."""

    event: Literal["confirmed"] = "confirmed"
    confirmation: Confirmation
    rejection: Rejection | None
    """Set when they were to pass, and did not."""


class ReviewEvent(_Event):
    """A person is asked about the candidate; the graph stops until there is an answer."""

    event: Literal["review"] = "review"
    question: dict[str, Any]
    """What the person is shown, which is what the graph is interrupted with."""


class ReviewedEvent(_Event):
    """A person answered."""

    event: Literal["reviewed"] = "reviewed"
    decision: Literal["approve", "edit", "reject"]
    reason: str
    reviewer: str
    """Who answered, in their own words; may be empty."""


class FeedbackEvent(_Event):
    """A rejected round was closed; another begins unless it was the `last`."""

    event: Literal["feedback"] = "feedback"
    failure_mode: FailureMode
    reason: str
    last: bool


class RejectedEvent(_Event):
    """The final check failed: the document ends without an example."""

    event: Literal["rejected"] = "rejected"
    reason: str


class AcceptedEvent(_Event):
    """The document ends with an example, which is here whole."""

    event: Literal["accepted"] = "accepted"
    example: Example


GraphEvent = Annotated[
    ExtractEvent
    | DraftsEvent
    | ScreenEvent
    | CandidateEvent
    | QualityEvent
    | AttemptEvent
    | MarkEvent
    | VerdictEvent
    | JudgementEvent
    | AuditEvent
    | ConfirmingEvent
    | ConfirmedEvent
    | ReviewEvent
    | ReviewedEvent
    | FeedbackEvent
    | RejectedEvent
    | AcceptedEvent,
    Field(discriminator="event"),
]
"""Any event of a graph, recognised by `event`."""


@cache
def _events() -> TypeAdapter[GraphEvent]:
    """Return what reads an event; made at the first one, for making it takes a while."""
    return TypeAdapter(GraphEvent)


def wire_form(event: BaseModel) -> dict[str, Any]:
    """Return an event as the plain JSON object that is streamed: its name first."""
    values = event.model_dump(mode="json")
    return {"event": values.pop("event"), **values}


def parse_event(value: Mapping[str, Any]) -> GraphEvent:
    """Read a streamed event. Raises pydantic's ValidationError, a ValueError, for what is none of ours."""
    return _events().validate_python(value)
