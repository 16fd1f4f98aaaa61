"""Legal questions (paper, section 4): what extractor, writer and loop judge are asked for; how a draft is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from autodata.checkpoints.records import Candidate
from autodata.domains.acceptance.rubric_score import one_line
from autodata.domains.tasks.base import RubricKind
from autodata.domains.tasks.legal_filters import flags
from autodata.domains.tasks.questions import paper_references
from autodata.domains.tasks.schemas import Line, ShortText, Weighted, sound
from autodata.models.coerce import (
    Advisory,
    Choice,
    Gist,
    Integer,
    Items,
    Listed,
    Ordinal,
    Prose,
    ReplyModel,
)
from autodata.models.coerce import (
    Tag as Snake,
)
from autodata.models.values import flag
from autodata.prompts import fence

Point = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]
Tag = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=60), Snake()
]
Text = Annotated[str, Advisory(1200)]
Note = Annotated[str, StringConstraints(strip_whitespace=True), Advisory(300, least=1)]
WeightClass = Literal["critical", "important", "slight", "negative"]

BANDS: Mapping[WeightClass, range] = {
    "critical": range(8, 11),
    "important": range(5, 8),
    "slight": range(2, 5),
    "negative": range(-10, 0),
}
"""The weights of each class, the paper's bands. +1 belongs to none."""


def _in_doubt_suitable(value: object) -> object:
    """Read anything but a plain no as yes: only what is clearly unfit ends a document."""
    return flag(value, "suitable") is not False


class Extract(ReplyModel):
    """What an extractor finds in a document, once, before anything else is spent."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    suitable_for_synthetic_question: Annotated[bool, BeforeValidator(_in_doubt_suitable)]
    suitability_note: Annotated[str, StringConstraints(strip_whitespace=True), Advisory(600)]
    """Why the document is fit or unfit; it becomes the reason of a document that is skipped."""
    document_type: Note
    topic_keywords: Annotated[tuple[ShortText, ...], Listed(5, least=3, each=300)]
    issues: Annotated[tuple[Point, ...], Listed(8, each=400, commas=False, needed=True)]
    facts: Annotated[tuple[Point, ...], Listed(10, each=400, commas=False, needed=True)]
    holdings: Annotated[tuple[Point, ...], Listed(8, each=400, commas=False, needed=True)]

    @property
    def unsuitable(self) -> bool:
        """Whether the document ends here. A no that gives no reason is a doubt, and in doubt a document is fit."""
        return not self.suitable_for_synthetic_question and bool(self.suitability_note)


class LegalItem(ReplyModel):
    """One proposition that an answer asserts or does not assert. A negative weight marks one it must not assert."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    number: Annotated[int, Field(ge=1), Ordinal()]
    criterion: Line
    category: Annotated[str, StringConstraints(strip_whitespace=True), Gist(300)]
    capability: Tag
    """The skill it takes, as a snake_case tag."""
    weight_class: Annotated[WeightClass, Choice()]
    weight: Annotated[int, Field(ge=-10, le=10), Integer()]

    @model_validator(mode="after")
    def _in_its_band(self) -> LegalItem:
        if self.weight not in BANDS[self.weight_class]:
            bands = ", ".join(f"{name} {band[0]:+d} to {band[-1]:+d}" for name, band in BANDS.items())
            raise ValueError(f"weight {self.weight:+d} is not in the band of {self.weight_class!r}: {bands}")
        return self


def _numbered(items: tuple[LegalItem, ...]) -> tuple[LegalItem, ...]:
    if [item.number for item in items] != list(range(1, len(items) + 1)):
        raise ValueError(f"rubric items are numbered 1 to {len(items)} in order")
    return items


Rubric = Annotated[
    tuple[LegalItem, ...], Field(min_length=1, max_length=40), Items(), AfterValidator(_numbered), AfterValidator(sound)
]
Tags = Annotated[tuple[Tag, ...], Listed(8, least=1, needed=True)]
Body = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000), Prose()]


class LegalDraft(ReplyModel):
    """What the writer of a legal question is asked for."""

    target_capabilities: Tags
    question: Body
    rubric: Rubric


class LegalCandidate(ReplyModel, Candidate):
    """A client's question with a rubric; there is neither a context nor a reference answer."""

    target_capabilities: Tags
    question: Body
    reference_answer: Literal[""] = ""
    context: Literal[""] = ""
    rubric: Rubric


class LoopJudgement(ReplyModel):
    """What the loop judge makes of the pattern over all attempts."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    weak_pattern: Text
    strong_pattern: Text
    gap_interpretation: Text
    rubric_concerns: Text
    grpo_suitability: Annotated[Literal["high", "medium", "low"], Choice()]
    verdict: Annotated[Literal["accept", "improve"], Choice()]
    verdict_reason: Text
    suggestion_for_writer: Annotated[str, Advisory(2000)] = ""
    """Needed when the verdict is `improve`; it reaches the writer word for word."""

    @model_validator(mode="after")
    def _says_how_to_improve(self) -> LoopJudgement:
        if self.verdict == "improve" and not self.suggestion_for_writer.strip():
            raise ValueError("verdict 'improve' needs a suggestion_for_writer")
        return self


class LegalKind(RubricKind):
    """Weighted criteria in bands, each with a capability; no context and no reference answer."""

    draft = LegalDraft

    def candidate(self, data: Mapping[str, Any]) -> Candidate:
        return LegalCandidate.model_validate(data)

    def shown(self, candidate: Candidate) -> str:
        item = _legal(candidate)
        rows = (f"{row.number}. ({row.weight:+d}, {row.capability}) {one_line(row.criterion)}" for row in item.rubric)
        parts = {
            "Target capabilities": ", ".join(item.target_capabilities),
            "Question": item.question,
            "Rubric": "\n".join(rows),
        }
        return fence("candidate", "\n\n".join(f"{name}: {text}" for name, text in parts.items()))

    def rows(self, candidate: Candidate) -> Sequence[Weighted]:
        return _legal(candidate).rubric

    def post_filters(self, candidate: Candidate) -> Mapping[str, str]:
        return flags(candidate.question)

    def final_problems(self, candidate: Candidate) -> list[str]:
        return [f"refers to its source: {phrase!r}" for phrase in paper_references(candidate.question)]


def _legal(candidate: Candidate) -> LegalCandidate:
    if not isinstance(candidate, LegalCandidate):
        raise TypeError("a legal candidate is needed")
    return candidate
