"""What a session reports to whoever watches it: how each document fares, besides what its graph streams.

Nothing here is sent anywhere. A run reports `RunEvent`s; an optimisation reports those of its evaluations' documents as
`TrialEvent`s, between the `SearchEvent`s of its iterations. Each event is a class of its own, however small, so that a
watcher distinguishes them by type and reads typed fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from autodata.checkpoints.records import DocumentStatus
from autodata.nodes.events import GraphEvent
from autodata.nodes.optimizer.events import SearchEvent

if TYPE_CHECKING:
    from autodata.models.caller import Reply


@dataclass(frozen=True)
class _OfDocument:
    document_id: str


@dataclass(frozen=True)
class StartedEvent(_OfDocument):
    """A document was taken up."""

    event: ClassVar = "started"
    name: str
    resumed: bool
    """Whether it goes on from a checkpoint."""


@dataclass(frozen=True)
class CallEvent(_OfDocument):
    """A call of a model came back."""

    event: ClassVar = "call"
    role: str
    reply: Reply


@dataclass(frozen=True)
class CollectedEvent(_OfDocument):
    """A document's result came from a server: after how many rounds, and how it ended."""

    event: ClassVar = "collected"
    n: int
    status: DocumentStatus
    asked: str = ""
    """`asked_key` of its example; empty without one."""


@dataclass(frozen=True)
class WaitingEvent(_OfDocument):
    """A document waits for a person's answer."""

    event: ClassVar = "waiting"


@dataclass(frozen=True)
class DrainedEvent(_OfDocument):
    """A document stopped at a checkpoint, for the session stops."""

    event: ClassVar = "drained"


@dataclass(frozen=True)
class ErroredEvent(_OfDocument):
    """A document was ended by an error; the same command takes it up again."""

    event: ClassVar = "errored"
    name: str
    reason: str


@dataclass(frozen=True)
class EndedEvent(_OfDocument):
    """A document came to its end."""

    event: ClassVar = "ended"


RunEvent = (
    GraphEvent | StartedEvent | CallEvent | CollectedEvent | WaitingEvent | DrainedEvent | ErroredEvent | EndedEvent
)
"""Any event of a run."""


@dataclass(frozen=True)
class TrialEvent:
    """An event of one document in an evaluation of the optimiser."""

    evaluation: str
    event: RunEvent


OptimizationEvent = SearchEvent | TrialEvent
"""Any event of an optimisation."""
