"""What a search reports while it works: one typed event for each step of an iteration.

Served, they are streamed (`stream_mode="custom"`) in their wire form. Scores are floats in 0..1, None where nothing
was found out.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Event(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True)


class IterationEvent(_Event):
    """An iteration was begun, or is gone on with: its parent is sampled."""

    event: Literal["iteration"] = "iteration"
    n: int = Field(ge=1)
    parent: str
    """Version of the sampled pack."""


class _EvaluationEvent(_Event):
    evaluation: str
    """The evaluation's id."""
    pack: str
    split: str
    block: int
    """The seed block."""
    iteration: int = Field(ge=0)
    """The iteration that asked for it; 0 for the baseline's own."""


class EvaluatingEvent(_EvaluationEvent):
    """An evaluation begins, or is gone on with."""

    event: Literal["evaluating"] = "evaluating"
    documents: int = Field(ge=0)
    """How many it is to be made on."""


class EvaluatedEvent(_EvaluationEvent):
    """An evaluation ended."""

    event: Literal["evaluated"] = "evaluated"
    made: int = Field(ge=0, exclude=True)
    """On how many documents it was made. Not streamed."""
    passed: int = Field(ge=0)
    complete: bool
    """False when it was stopped early, for the pack had lost."""
    score: float | None


class AnalysedEvent(_Event):
    """The analyst named the causes of the parent's failures."""

    event: Literal["analysed"] = "analysed"
    n: int = Field(ge=1)
    summary: str


class EditedEvent(_Event):
    """The editor is done with the parent's prompts."""

    event: Literal["edited"] = "edited"
    n: int = Field(ge=1)
    summary: str
    refusals: list[str]
    """What the editor tried and was refused."""


class RecordedEvent(_Event):
    """An iteration ended, and is recorded."""

    event: Literal["recorded"] = "recorded"
    iteration: int = Field(ge=1)
    outcome: str
    reason: str
    summary: str
    """The entry of the history log."""
    mutant: str | None
    """Version of the edited pack, if there is one."""
    parent_score: float | None
    mutant_score: float | None
    record: int
    """1 when the mutant leads from now on, else 0."""
    ended_at: str
    parent: str


SearchEvent = IterationEvent | EvaluatingEvent | EvaluatedEvent | AnalysedEvent | EditedEvent | RecordedEvent
"""Any event of a search, recognised by `event`."""
