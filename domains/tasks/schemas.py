"""What a challenger may write: one schema per kind of scorer, and what a judge answers about an attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from autodata.checkpoints.records import Candidate

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=600)]
ShortText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class Weighted(Protocol):
    """A criterion as arithmetic sees it, whatever else a domain's rubric says of it."""

    @property
    def criterion(self) -> str:
        """What an answer meets or does not meet."""

    @property
    def weight(self) -> int:
        """Points; negative for bad behaviour."""


Items = TypeVar("Items", bound=Sequence[Weighted])


class RubricItem(BaseModel):
    """One binary criterion. A negative weight marks bad behaviour: the item is met when it is present."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    criterion: Line
    weight: int = Field(ge=-10, le=10)
    category: Annotated[str, StringConstraints(strip_whitespace=True, max_length=80)] = ""


def sound(items: Items) -> Items:
    """Check the structure that arithmetic needs; counts and bands belong to the prompts, which may evolve."""
    texts = [" ".join(item.criterion.lower().split()) for item in items]
    if len(set(texts)) < len(texts):
        raise ValueError("two rubric items say the same: each criterion must be unique")
    if any(item.weight == 0 for item in items):
        raise ValueError("a weight of 0 scores nothing: weights are non-zero integers from -10 to 10")
    if not any(item.weight > 0 for item in items):
        raise ValueError("no weight is positive: at least one criterion must earn points")
    return items


class RubricCandidate(Candidate):
    """A research question with a rubric (paper, section 3)."""

    reference_answer: str = Field(min_length=1, max_length=4000)
    question_type: ShortText
    skills: tuple[ShortText, ...] = Field(min_length=1, max_length=5)
    rubric: Annotated[tuple[RubricItem, ...], AfterValidator(sound)] = Field(min_length=1, max_length=40)


class ReferenceCandidate(Candidate):
    """A question with a one-sentence reference answer."""

    question: ShortText
    reference_answer: ShortText
    context: Literal[""] = ""


class ReferenceDraft(BaseModel):
    """What the challenger of a reference domain is asked for: no context is wanted, and none is offered."""

    question: ShortText
    reference_answer: ShortText


class RubricReview(BaseModel):
    """A quality verifier's findings on a rubric candidate. Findings only: whether it passes is decided by code."""

    leak_reason: Line
    leaks: bool
    """Context and question could be answered by rephrasing them."""
    question_quality: Literal["GOOD", "TOO_EASY", "RECALL"]
    single_question: bool
    every_positive_needs_reasoning: bool
    every_negative_names_an_error: bool
    no_item_tests_format: bool
    type_matches: bool
    feedback: Line


class SupportReview(BaseModel):
    """A quality verifier's finding on a reference candidate: whether the passage supports the answer."""

    reason: ShortText
    supported: bool


class Finding(BaseModel):
    """What a model finds about one of several numbered things."""

    number: int = Field(ge=1)


Found = TypeVar("Found", bound=Finding)


def each_once(n: int, of: str) -> Callable[[tuple[Found, ...]], tuple[Found, ...]]:
    """Return a validator of findings: one for each thing 1..n. `of` says what is wanted of which."""

    def complete(found: tuple[Found, ...]) -> tuple[Found, ...]:
        numbers = sorted(finding.number for finding in found)
        if numbers != list(range(1, n + 1)):
            raise ValueError(f"one {of} 1 to {n} is needed, got numbers {numbers}")
        return found

    return complete


class CriterionMark(Finding):
    """A judge's finding on one criterion."""

    reason: Annotated[str, StringConstraints(max_length=400)] = ""
    met: bool


class RubricMarks(BaseModel):
    """A judge's findings on all criteria of one attempt."""

    marks: tuple[CriterionMark, ...]


class ReferenceMark(BaseModel):
    """A judge's finding on an attempt at a question with a reference answer: what either says, then the verdict.

    Quoting first keeps a small judge honest: asked for a reason, it argues itself into agreement.
    """

    reference_says: Annotated[str, StringConstraints(max_length=100)]
    answer_says: Annotated[str, StringConstraints(max_length=100)]
    correct: bool
