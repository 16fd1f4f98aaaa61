"""What an analyst sees of an evaluation: its failed rounds, with everything that solvers and judges wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True)
class Exchange:
    """One attempt of a failed round: the answer, whole, and what was found in it."""

    attempt_id: str
    stage: str
    """`weak` or `strong`."""
    answer: str
    score: float | None
    """In 0..1; None when it was never marked."""
    marks: tuple[Mapping[str, Any], ...] = ()
    """criterion (text), weight, met, reason: one for each criterion that was looked at."""


@dataclass(frozen=True)
class Failure:
    """One round that did not end in acceptance."""

    round_id: str
    document_id: str
    n: int
    failure_mode: str
    reason: str
    candidate: Mapping[str, Any] = field(default_factory=dict)
    """Empty when the challenger's reply was malformed."""
    quality: Mapping[str, Any] | None = None
    """What the quality verifier found, where it was asked."""
    weak_mean: float | None = None
    strong_mean: float | None = None
    feedback: str = ""
    """The feedback that the next challenger got."""
    exchanges: tuple[Exchange, ...] = ()


@runtime_checkable
class Contrasting(Protocol):
    """Trajectories that have accepted rounds, too."""

    async def accepted(self, evaluation: str, documents: tuple[str, ...]) -> list[Failure]:
        """Return the accepted rounds in the shape of failed ones; their failure mode is empty."""


class Trajectories(Protocol):
    """Where failures are read from: the ledger, or a traced project."""

    async def failures(self, evaluation: str, documents: tuple[str, ...]) -> list[Failure]:
        """Return the failed rounds of an evaluation's threads on these documents, in order of document and round."""
