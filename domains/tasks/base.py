"""Kinds of candidate: what is asked for, what code checks, how marks become a score.

A kind is the one place that knows a candidate's shape; nodes know only this interface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, Protocol, runtime_checkable

from pydantic import AfterValidator, BaseModel, Field, create_model

from autodata.checkpoints.records import Candidate
from autodata.domains.acceptance.rubric_score import count_problems, one_line, rubric_score
from autodata.domains.tasks.grounded import quotes_missing, unfounded
from autodata.domains.tasks.questions import contains_tokens, normalised, not_standing_alone, paper_references
from autodata.domains.tasks.same_fact import same
from autodata.domains.tasks.schemas import (
    CriterionMark,
    ReferenceCandidate,
    ReferenceDraft,
    ReferenceMark,
    RubricCandidate,
    RubricMarks,
    RubricReview,
    SupportReview,
    Weighted,
    each_once,
)
from autodata.models.coerce import Advisory, Items
from autodata.prompts import fence


@dataclass(frozen=True)
class Scored:
    """An attempt's score with the finding on every criterion and its reason."""

    score: Fraction
    met: tuple[bool, ...]
    reasons: tuple[str, ...]


class Kind(Protocol):
    """How one shape of candidate is written, checked and scored."""

    @property
    def draft(self) -> type[BaseModel]:
        """What the challenger is asked for."""

    @property
    def review(self) -> type[BaseModel]:
        """What the quality verifier is asked for."""

    def candidate(self, data: Mapping[str, Any]) -> Candidate:
        """Return the candidate in a draft's or a state's data. Raises pydantic's ValidationError."""

    def shown(self, candidate: Candidate) -> str:
        """Return all of the candidate, for the quality verifier."""

    def judged_by(self, candidate: Candidate) -> Mapping[str, str]:
        """Return what the judge may see beside question and answer: `criteria` or `reference` (law 6)."""

    def criteria(self, candidate: Candidate) -> Sequence[tuple[str, int]]:
        """Return each criterion's text and weight."""

    def problems(self, candidate: Candidate) -> list[str]:
        """Return what code finds wrong before anybody is paid to look, and once more before it is accepted."""

    def findings(self, review: BaseModel, candidate: Candidate, limits: Mapping[str, int]) -> list[str]:
        """Return why a review and the prompt's limits fail the candidate; empty when it passes."""

    def final_problems(self, candidate: Candidate) -> list[str]:
        """Return what code finds wrong where a domain has a final check: before anybody is paid, and at the check."""

    def marks(self, candidate: Candidate) -> type[BaseModel]:
        """Return what the judge is asked for: a schema that refuses a missing or doubled criterion."""

    def scored(self, candidate: Candidate, marks: BaseModel) -> Scored:
        """Turn a judge's findings into an exact score."""

    def scored_by_code(self, candidate: Candidate, answer: str) -> Scored | None:
        """Return a score that needs no judge, or None."""

    def holds_answer(self, cut: str) -> bool:
        """Return whether a text that the token limit cut off gives a final answer all the same.

        Without one the attempt scores 0, and no judge is asked (paper, section 3).
        """


@runtime_checkable
class Ruled(Protocol):
    """A kind with fixed rules for questions: one that breaks a rule goes back whatever a loop judge would say."""

    def post_filters(self, candidate: Candidate) -> Mapping[str, str]:
        """Return the rules that a candidate breaks, by name, each with what was found."""


@runtime_checkable
class Told(Protocol):
    """A kind that says itself what a loop judge is told of its criteria."""

    def told(self, candidate: Candidate) -> Sequence[Mapping[str, Any]]:
        """Return each criterion: `criterion`, `weight` and, where known, `category`, `capability`, `weight_class`.

        Other keys are not shown.
        """


@runtime_checkable
class Grounded(Protocol):
    """A kind whose candidates are compared with their source, by code."""

    def missing(self, candidate: Candidate, sources: Sequence[str]) -> Missing:
        """Return what a candidate says that its sources do not: the passage or document first, then its title."""


@dataclass(frozen=True)
class Missing:
    """What a source lacks of a candidate: what fails it, and what is only noted, with its evidence."""

    problems: tuple[str, ...] = ()
    quotes: tuple[Mapping[str, str], ...] = ()
    """Quoted words that the source does not hold: `where` they stand, and the `quote`."""


def broken_rules(kind: Kind, candidate: Candidate) -> Mapping[str, str]:
    """Return the fixed rules of its kind that a candidate breaks; empty for a kind without such rules."""
    return kind.post_filters(candidate) if isinstance(kind, Ruled) else {}


def told_criteria(kind: Kind, candidate: Candidate) -> Sequence[Mapping[str, Any]]:
    """Return what a loop judge is told of a candidate's criteria: text and weight, where its kind says no more."""
    if isinstance(kind, Told):
        return kind.told(candidate)
    return [{"criterion": text, "weight": weight} for text, weight in kind.criteria(candidate)]


def missing(kind: Kind, candidate: Candidate, sources: Sequence[str]) -> Missing:
    """Return what a candidate says that its sources do not; nothing for a kind that is not compared with them."""
    return kind.missing(candidate, sources) if isinstance(kind, Grounded) else Missing()


class RubricKind:
    """Weighted binary criteria (paper, section 3)."""

    draft: type[BaseModel] = RubricCandidate
    review: type[BaseModel] = RubricReview

    def __init__(self, min_context_chars: int = 80) -> None:
        self._min_context_chars = min_context_chars

    def candidate(self, data: Mapping[str, Any]) -> Candidate:
        return RubricCandidate.model_validate(data)

    def shown(self, candidate: Candidate) -> str:
        item = _rubric(candidate)
        rubric = "\n".join(f"{n}. ({row.weight:+d}) {one_line(row.criterion)}" for n, row in enumerate(item.rubric, 1))
        parts = {
            "Question type": item.question_type,
            "Skills": ", ".join(item.skills),
            "Context": item.context,
            "Question": item.question,
            "Reference answer": item.reference_answer,
            "Rubric": rubric,
        }
        return fence("candidate", "\n\n".join(f"{name}: {text}" for name, text in parts.items()))

    def rows(self, candidate: Candidate) -> Sequence[Weighted]:
        return _rubric(candidate).rubric

    def judged_by(self, candidate: Candidate) -> Mapping[str, str]:
        rows = "\n".join(f"{n}. {one_line(row.criterion)}" for n, row in enumerate(self.rows(candidate), 1))
        return {"criteria": fence("criteria", rows)}

    def criteria(self, candidate: Candidate) -> Sequence[tuple[str, int]]:
        return [(one_line(row.criterion), row.weight) for row in self.rows(candidate)]

    def problems(self, candidate: Candidate) -> list[str]:
        return []

    def findings(self, review: BaseModel, candidate: Candidate, limits: Mapping[str, int]) -> list[str]:
        if not isinstance(review, RubricReview):
            raise TypeError("a rubric candidate needs a rubric review")
        weights = [row.weight for row in self.rows(candidate)]
        negative = sum(weight < 0 for weight in weights)
        found = count_problems(weights, limits)
        quality = review.question_quality
        verdicts = (
            (not review.leaks, f"leakage: {review.leak_reason}"),
            (quality == "GOOD", f"question quality {quality}"),
            (review.single_question, "more than one question is asked"),
            (review.every_positive_needs_reasoning, "a positive criterion needs no reasoning beyond the context"),
            (review.every_negative_names_an_error or not negative, "a negative criterion names no specific error"),
            (review.no_item_tests_format, "a criterion tests format"),
            (review.type_matches, "the question does not match its stated type"),
        )
        found += [reason for fine, reason in verdicts if not fine]
        return [*found, review.feedback] if found else []

    def final_problems(self, candidate: Candidate) -> list[str]:
        item = _rubric(candidate)
        found = [f"refers to its source: {phrase!r}" for phrase in paper_references(f"{item.context}\n{item.question}")]
        if len(item.context) < self._min_context_chars:
            found.append(
                f"the context has {len(item.context)} characters, at least {self._min_context_chars} are needed"
            )
        return found

    def missing(self, candidate: Candidate, sources: Sequence[str]) -> Missing:
        parts = {
            "context": candidate.context,
            "question": candidate.question,
            "reference answer": candidate.reference_answer,
            **{f"criterion {n}": text for n, (text, _) in enumerate(self.criteria(candidate), 1)},
        }
        return Missing(quotes=tuple(quotes_missing(parts, "\n".join(sources))))

    def marks(self, candidate: Candidate) -> type[BaseModel]:
        return _marks_schema(len(self.rows(candidate)))

    def scored(self, candidate: Candidate, marks: BaseModel) -> Scored:
        if not isinstance(marks, RubricMarks):
            raise TypeError("a rubric candidate needs rubric marks")
        rows = sorted(marks.marks, key=lambda mark: mark.number)
        met = tuple(row.met for row in rows)
        weights = [row.weight for row in self.rows(candidate)]
        return Scored(rubric_score(weights, met), met, tuple(row.reason for row in rows))

    def scored_by_code(self, candidate: Candidate, answer: str) -> Scored | None:
        return None

    def holds_answer(self, cut: str) -> bool:
        return bool(cut)  # prose answers as it goes: what was said counts


class ReferenceKind:
    """A question with a one-sentence reference answer; attempts are right or wrong."""

    draft: type[BaseModel] = ReferenceDraft
    review: type[BaseModel] = SupportReview

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

    def scored(self, candidate: Candidate, marks: BaseModel) -> Scored:
        if not isinstance(marks, ReferenceMark):
            raise TypeError("a reference candidate needs a reference mark")
        reason = f"{marks.reference_says!r} against {marks.answer_says!r}"
        if type(marks) is ReferenceMark and not _quotes(candidate.reference_answer, marks.reference_says):
            reason += " (the reference is not quoted, however often asked: the verdict alone counts)"
        return Scored(Fraction(int(marks.correct)), (marks.correct,), (reason,))

    def scored_by_code(self, candidate: Candidate, answer: str) -> Scored | None:
        right = same(candidate.reference_answer, answer, candidate.question)
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


KINDS: Mapping[str, Kind] = {"rubric": RubricKind(), "reference": ReferenceKind()}


def _rubric(candidate: Candidate) -> RubricCandidate:
    if not isinstance(candidate, RubricCandidate):
        raise TypeError("a rubric candidate is needed")
    return candidate


@lru_cache(maxsize=64)
def _marks_schema(n: int) -> type[RubricMarks]:
    """Return RubricMarks for exactly the criteria 1..n."""
    exactly, complete = Field(min_length=n, max_length=n), AfterValidator(each_once(n, "mark for each criterion"))
    field = Annotated[tuple[CriterionMark, ...], exactly, Items(), complete]
    return create_model("RubricMarks", __base__=RubricMarks, marks=(field, ...))
