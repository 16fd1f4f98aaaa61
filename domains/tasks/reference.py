"""Reference: a question with a one-sentence reference answer; attempts are right or wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, create_model

from autodata.checkpoints.records import Candidate
from autodata.domains.tasks.base import Missing, Scored
from autodata.domains.tasks.grounding import unfounded
from autodata.domains.tasks.questions import contains_tokens, normalised, not_standing_alone
from autodata.domains.tasks.same_fact import same
from autodata.domains.tasks.schemas import (
    ReferenceCandidate,
    ReferenceDraft,
    ReferenceMark,
    ReferenceVerdict,
    SupportReview,
)
from autodata.models.markers import Advisory
from autodata.prompts import fence

VERDICT_ALONE = "the judge's verdict alone"
"""The reason that is recorded with a mark for which no other was asked."""


_TAG = re.compile(r"</?[a-z]+(?:-[0-9a-f]+)?>")
"""A tag of a prompt, which a small model may repeat with what stands in it."""


class ReferenceTask:
    """A question with a one-sentence reference answer; attempts are right or wrong."""

    draft: type[BaseModel] = ReferenceDraft
    review: type[BaseModel] = SupportReview
    judge_sees = "reference"

    def candidate(self, data: Mapping[str, Any]) -> Candidate:
        return ReferenceCandidate.model_validate(data)

    def shown(self, candidate: Candidate) -> str:
        return fence("candidate", f"Question: {candidate.question}\nReference answer: {candidate.reference_answer}")

    def judged_by(self, candidate: Candidate) -> Mapping[str, str]:
        return {"reference": fence("reference", candidate.reference_answer)}

    def criteria(self, candidate: Candidate) -> Sequence[tuple[str, int]]:
        return [(f"Matches the reference: {candidate.reference_answer}", 1)]

    def problems(self, candidate: Candidate) -> list[str]:
        reason = not_standing_alone(candidate.question)
        found = [reason] if reason else []
        if contains_tokens(candidate.question, candidate.reference_answer):
            found.append("the question gives its answer away")
        return found

    def findings(self, review: BaseModel, candidate: Candidate, limits: Mapping[str, int]) -> list[str]:
        if not isinstance(review, SupportReview):
            raise TypeError("a reference candidate needs a support review")
        return [] if review.supported else [f"the reference answer is not supported by the passage: {review.reason}"]

    def final_problems(self, candidate: Candidate) -> list[str]:
        return self.problems(candidate)

    def missing(self, candidate: Candidate, sources: Sequence[str]) -> Missing:
        if not isinstance(candidate, ReferenceCandidate):  # its answer is worked out, not read in the source
            return Missing()
        lacking = unfounded(candidate.reference_answer, candidate.question, sources)
        said = ", ".join(map(repr, lacking))
        return Missing((f"the reference answer is not in the passage: it lacks {said}",) if lacking else ())

    def marks(self, candidate: Candidate) -> type[BaseModel]:
        return _reference_schema(candidate.reference_answer)

    def verdict(self, candidate: Candidate) -> type[BaseModel]:
        return ReferenceVerdict

    def scored(self, candidate: Candidate, marks: BaseModel) -> Scored:
        if isinstance(marks, ReferenceVerdict):
            return Scored(Fraction(int(marks.correct)), (marks.correct,), (VERDICT_ALONE,))
        if not isinstance(marks, ReferenceMark):
            raise TypeError("a reference candidate needs a reference mark")
        reason = f"{marks.reference_says!r} against {marks.answer_says!r}"
        if type(marks) is ReferenceMark and not _quotes(candidate.reference_answer, marks.reference_says):
            reason += " (the reference is not quoted, however often asked: the verdict alone counts)"
        return Scored(Fraction(int(marks.correct)), (marks.correct,), (reason,))

    def scored_by_code(self, candidate: Candidate, answer: str) -> Scored | None:
        right = same(candidate.reference_answer, answer, candidate.question)
        if right is None and normalised(_TAG.sub(" ", answer)) == normalised(candidate.question):
            return Scored(Fraction(0), (False,), ("the answer is the question again",))
        if right is None:
            return None
        why = "the answer is the reference word for word" if right else "the answer gives another number"
        return Scored(Fraction(int(right)), (right,), (why,))

    def holds_answer(self, cut: str) -> bool:
        return bool(cut)  # the answer is a sentence, and may be its first words


@lru_cache(maxsize=64)
def _reference_schema(reference: str) -> type[ReferenceMark]:
    """Return ReferenceMark for one reference: what the judge says it reads there must stand there.

    A judge that misreads is worth asking again. One that will not quote has given its verdict all the same: paid for,
    and no failure of infrastructure, so the verdict binds, and the mark's reason says that nothing is quoted.
    """

    def quoted(says: str) -> str:
        if not _quotes(reference, says):
            raise ValueError("reference_says must quote the reference answer")
        return says

    field = Annotated[str, Advisory(100), AfterValidator(quoted)]
    schema = create_model("ReferenceMark", __base__=ReferenceMark, reference_says=(field, ...))
    schema.second_best = ReferenceMark
    return schema


def _quotes(reference: str, says: str) -> bool:
    """Whether at least half of the words that a judge says it reads stand in the reference."""
    words, said = set(normalised(reference).split()), normalised(says).split()
    return not words or 2 * sum(word in words for word in said) >= max(1, len(said))
