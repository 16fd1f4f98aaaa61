"""Rubric: weighted binary criteria (paper, section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, create_model

from autodata.checkpoints.records import Candidate
from autodata.domains.acceptance.rubric_score import count_problems, one_line, rubric_score
from autodata.domains.tasks.base import Missing, Scored
from autodata.domains.tasks.grounding import quotes_missing
from autodata.domains.tasks.questions import paper_references
from autodata.domains.tasks.schemas import (
    CriterionMark,
    RubricCandidate,
    RubricMarks,
    RubricReview,
    Weighted,
    each_once,
)
from autodata.models.coerce import Items
from autodata.prompts import fence


class RubricTask:
    """Weighted binary criteria (paper, section 3)."""

    draft: type[BaseModel] = RubricCandidate
    review: type[BaseModel] = RubricReview
    judge_sees = "criteria"

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

    def vote(self, answer: str) -> None:
        return None  # no two long answers are alike


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
