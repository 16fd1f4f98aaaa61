"""Legal questions (paper, section 4): what the writer is asked for; how a draft is scored, its rules, its packet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from autodata.checkpoints.records import Candidate
from autodata.domains.acceptance.rubric_score import one_line
from autodata.domains.tasks.legal_filters import flags
from autodata.domains.tasks.questions import paper_references
from autodata.domains.tasks.rubric import RubricTask
from autodata.domains.tasks.schemas import Line, Weighted, sound
from autodata.models.coerce import Items, Listed, ReplyModel
from autodata.models.coerce import (
    Tag as Snake,
)
from autodata.models.markers import Choice, Gist, Integer, Ordinal, Prose
from autodata.models.values import folded, ordinal
from autodata.prompts import fence

Tag = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=60), Snake()
]
WeightClass = Literal["critical", "important", "slight", "negative"]

BANDS: Mapping[WeightClass, range] = {
    "critical": range(8, 11),
    "important": range(5, 8),
    "slight": range(2, 5),
    "negative": range(-10, 0),
}
"""The weights of each class, the paper's bands. +1 belongs to none."""


class LegalItem(ReplyModel):
    """One proposition that an answer asserts or does not assert. A negative weight marks one it must not assert."""

    model_config = ConfigDict(defer_build=True, extra="ignore", frozen=True)

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


def _by_place(items: object) -> object:
    """Number items without any number, or in order from 1 under another key, by their place."""
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return items
    said = [[key for key in item if folded(key) in _NUMBER] for item in items]
    numbers = [ordinal(item[keys[0]]) if len(keys) == 1 else None for item, keys in zip(items, said, strict=True)]
    if not any(said) or numbers == [*range(1, len(items) + 1)]:
        rest = ({key: item[key] for key in item if folded(key) not in _NUMBER} for item in items)
        return [{"number": place, **item} for place, item in enumerate(rest, 1)]
    return items


_NUMBER = frozenset({"number", "no", "id", "item", "itemnumber"})
Rubric = Annotated[
    tuple[LegalItem, ...],
    Field(min_length=1, max_length=40),
    BeforeValidator(_by_place),
    Items(),
    AfterValidator(_numbered),
    AfterValidator(sound),
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


class LegalTask(RubricTask):
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

    def judged_on(self, candidate: Candidate) -> Sequence[Mapping[str, Any]]:
        rows = ("category", "capability", "weight_class")
        return [
            {"criterion": row.criterion, "weight": row.weight, **{name: getattr(row, name) for name in rows}}
            for row in _legal(candidate).rubric
        ]

    def post_filters(self, candidate: Candidate) -> Mapping[str, str]:
        return flags(candidate.question)

    def final_problems(self, candidate: Candidate) -> list[str]:
        return [f"refers to its source: {phrase!r}" for phrase in paper_references(candidate.question)]


def _legal(candidate: Candidate) -> LegalCandidate:
    if not isinstance(candidate, LegalCandidate):
        raise TypeError("a legal candidate is needed")
    return candidate
