"""What models are asked for: a challenger's drafts, a judge's marks, and what extractor, screen and loop judge find."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Protocol, TypeVar

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    create_model,
)

from autodata.checkpoints.records import Candidate
from autodata.models.coerce import (
    Items as ListOf,
)
from autodata.models.coerce import Listed, ReplyModel
from autodata.models.markers import Advisory, Choice, Flag, Gist, Integer, Ordinal, Prose

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=600), Prose()]
ShortText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300), Prose()]
Remark = Annotated[str, StringConstraints(strip_whitespace=True), Advisory(600, least=1)]
YesNo = Annotated[bool, Flag()]


class Weighted(Protocol):
    """A criterion as arithmetic sees it, whatever else a domain's rubric says of it."""

    @property
    def criterion(self) -> str:
        """What an answer meets or does not meet."""

    @property
    def weight(self) -> int:
        """Points; negative for bad behaviour."""


Items = TypeVar("Items", bound=Sequence[Weighted])


class RubricItem(ReplyModel):
    """One binary criterion. A negative weight marks bad behaviour: the item is met when it is present."""

    model_config = ConfigDict(defer_build=True, extra="ignore", frozen=True)
    also_called: ClassVar[Mapping[str, frozenset[str]]] = {"weight": frozenset({"points"})}

    criterion: Line
    weight: Annotated[int, Field(ge=-10, le=10), Integer()]
    category: Annotated[str, StringConstraints(strip_whitespace=True), Advisory(80)] = ""


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


class RubricCandidate(ReplyModel, Candidate):
    """A research question with a rubric (paper, section 3)."""

    question: Annotated[str, Field(min_length=1, max_length=4000), Prose()]
    reference_answer: Annotated[str, Field(min_length=1, max_length=4000), Prose(joined="\n")]
    context: Annotated[str, Field(max_length=6000), Prose(joined="\n\n", optional=True)] = ""
    question_type: Annotated[str, StringConstraints(strip_whitespace=True), Gist(300)]
    skills: Annotated[tuple[ShortText, ...], Listed(5, least=1, each=300)]
    rubric: Annotated[tuple[RubricItem, ...], Field(min_length=1, max_length=40), ListOf(), AfterValidator(sound)]


class ReferenceCandidate(ReplyModel, Candidate):
    """A question with a one-sentence reference answer."""

    question: ShortText
    reference_answer: ShortText
    context: Literal[""] = ""


class ReferenceDraft(ReplyModel):
    """What the challenger of a reference domain is asked for: no context is wanted, and none is offered."""

    question: ShortText
    reference_answer: ShortText


class RubricReview(ReplyModel):
    """A quality verifier's findings on a rubric candidate. Findings only: whether it passes is decided by code."""

    leak_reason: Remark
    leaks: YesNo
    """Context and question could be answered by rephrasing them."""
    question_quality: Annotated[Literal["GOOD", "TOO_EASY", "RECALL"], Choice()]
    single_question: YesNo
    every_positive_needs_reasoning: YesNo
    every_negative_names_an_error: YesNo
    no_item_tests_format: YesNo
    type_matches: YesNo
    feedback: Remark


class SupportReview(ReplyModel):
    """A quality verifier's finding on a reference candidate: whether the passage supports the answer."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True), Advisory(300, least=1)]
    supported: YesNo


class Finding(ReplyModel):
    """What a model finds about one of several numbered things."""

    also_called: ClassVar[Mapping[str, frozenset[str]]] = {
        "number": frozenset(
            {"criterion", "criterionnumber", "criterionid", "candidate", "candidatenumber", "candidateid", "id", "no"}
        )
    }

    number: Annotated[int, Field(ge=1), Ordinal()]


FindingT = TypeVar("FindingT", bound=Finding)


def each_once(n: int, of: str) -> Callable[[tuple[FindingT, ...]], tuple[FindingT, ...]]:
    """Return a validator of findings: one for each thing 1..n. `of` says what is wanted of which."""

    def complete(found: tuple[FindingT, ...]) -> tuple[FindingT, ...]:
        numbers = sorted(finding.number for finding in found)
        if numbers != list(range(1, n + 1)):
            raise ValueError(f"one {of} 1 to {n} is needed, got numbers {numbers}")
        return found

    return complete


class CriterionMark(Finding):
    """A judge's finding on one criterion."""

    reason: Annotated[str, Advisory(400)] = ""
    met: YesNo


class RubricMarks(ReplyModel):
    """A judge's findings on all criteria of one attempt."""

    marks: Annotated[tuple[CriterionMark, ...], ListOf()]


class ReferenceMark(ReplyModel):
    """A judge's finding on an attempt at a question with a reference answer: what either says, then the verdict.

    Quoting first keeps a small judge honest: asked for a reason, it argues itself into agreement.
    """

    reference_says: Annotated[str, Advisory(100)]
    answer_says: Annotated[str, Advisory(100)]
    correct: YesNo


class ReferenceVerdict(ReplyModel):
    """A judge's verdict alone on an attempt at a question with a reference answer.

    Of a small model on one's own machine it is a single token, where quotes and an object around them took thirty to
    sixty: `benchmarks/demo.py` compares both judges.
    """

    bare: ClassVar[bool] = True

    correct: YesNo


class ScreenFinding(Finding):
    """What the screen thinks of one candidate."""

    reason: Annotated[str, Advisory(300)] = ""
    promising: YesNo


class Screening(ReplyModel):
    """What the screen thinks of every candidate of a round."""

    candidates: Annotated[tuple[ScreenFinding, ...], ListOf()]


@lru_cache(maxsize=8)
def screening_schema(n: int) -> type[Screening]:
    """Return Screening for exactly the candidates 1..n."""
    exactly, complete = Field(min_length=n, max_length=n), AfterValidator(each_once(n, "finding for each candidate"))
    field = Annotated[tuple[ScreenFinding, ...], exactly, ListOf(), complete]
    return create_model("Screening", __base__=Screening, candidates=(field, ...))
