"""Lessons of the outer loop: what batches of documents taught, and the batches themselves, as the ledger holds them.

A lesson is never changed: an edit, and a switch on or off, is a new version of it. The latest version counts. A batch
keeps which versions were in force when it began, so that a resumed document is shown the same as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from autodata.checkpoints.records import Record

MOST_CHARS = 300
"""Characters of a lesson's text."""
MOST_EVIDENCE = 8
"""Rounds that a lesson cites."""

Author = Literal["analyst", "person", "code"]
"""Who wrote a version: the analyst; a person, who edited it or switched it on or off; or code, which retired it."""
BatchState = Literal["open", "walked", "ended"]
"""`open`: its documents are on their way. `walked`: they have ended. `ended`: the analyst has looked at them."""


class Lesson(Record):
    """One version of a lesson."""

    lesson_id: str
    """`L1`, `L2`, ... in the order in which they were written."""
    version: int = Field(default=1, ge=1)
    text: str = Field(min_length=1, max_length=MOST_CHARS)
    """One line."""
    evidence: tuple[str, ...] = Field(default=(), max_length=MOST_EVIDENCE)
    """Ids of the rounds that show it."""
    figures: dict[str, float] = Field(default_factory=dict)
    """Figures of the batch that it comes from, by name."""
    batch: int = Field(ge=1)
    """The batch after which it was written."""
    active: bool = True
    """Whether challengers are shown it."""
    author: Author = "analyst"

    @property
    def ref(self) -> str:
        """What names this version, for instance `L3.2`: the second version of the third lesson."""
        return f"{self.lesson_id}.{self.version}"

    @property
    def number(self) -> int:
        """The number in its id."""
        return int(self.lesson_id[1:])


class Steer(Record):
    """What code counted among the accepted examples: skills and types of question by how often they were asked."""

    often: tuple[str, ...] = ()
    seldom: tuple[str, ...] = ()


class BatchFigures(Record):
    """What became of a batch. Means are over rounds that have one."""

    documents: int = 0
    accepted: int = 0
    rounds: int = 0
    calls: int = 0
    """Model calls of its documents."""
    weak_mean: float | None = None
    strong_mean: float | None = None
    modes: dict[str, int] = Field(default_factory=dict)
    """Rejected rounds by failure mode."""
    coverage: Steer = Field(default_factory=Steer)
    """What the accepted examples ask for often and seldom once it has ended."""

    @property
    def plain(self) -> dict[str, float]:
        """The figures by name, those that are not known left out; failure modes by theirs."""
        numbers: Mapping[str, float | None] = self.model_dump(exclude={"modes", "coverage"})
        return {**{name: value for name, value in numbers.items() if value is not None}, **self.modes}


class Batch(Record):
    """Documents that went through the inner loop side by side, and under which lessons."""

    batch: int = Field(ge=1)
    documents: tuple[str, ...]
    lessons: tuple[str, ...] = ()
    """The versions that were in force when it began, as `Lesson.ref` names them."""
    steer: Steer = Field(default_factory=Steer)
    state: BatchState = "open"
    figures: BatchFigures = Field(default_factory=BatchFigures)
    note: str = ""
    """Why it taught nothing, where the analyst could not be understood."""
