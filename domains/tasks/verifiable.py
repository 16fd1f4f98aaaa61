"""Verifiable candidates: a question whose answer is one exact form or named thing (paper, section 5).

Code decides first whether an attempt is right, where there is no doubt; a judge model everywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, create_model

from autodata.checkpoints.records import Candidate
from autodata.domains.tasks import maths
from autodata.domains.tasks.answers import final_answer, marked_answer
from autodata.domains.tasks.base import Scored
from autodata.domains.tasks.passages import sentences
from autodata.domains.tasks.questions import paper_references
from autodata.domains.tasks.reference import ReferenceTask
from autodata.domains.tasks.schemas import ReferenceMark
from autodata.models.coerce import ReplyModel
from autodata.models.markers import Advisory, Prose
from autodata.prompts import fence

Question = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1500), Prose()]
Answer = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300), Prose()]

_INTEGER = re.compile(r"(?:\\?[A-Za-z]\w*\s*=\s*)?[-+−]?\s*\d[\d,\s]*", re.ASCII)
_DECIMAL = re.compile(r"(?<![\w.])(?:\d++(?:[.,]\d++)?|[.,]\d++)\s*+[eE][-+−]?\d++(?!\w)|(?<!\d)\d++\.\d++")
_ROUNDED = re.compile(r"\\approx|≈|≃|\b(?:approximately|approx\.?|roughly|about|nearly|to \w+ decimal places)\b", re.I)


class ScienceDraft(ReplyModel):
    """What a challenger of a verifiable domain is asked for."""

    question: Question
    answer: Answer


class VerifiableCandidate(ReplyModel, Candidate):
    """A question with one exact answer, kept as the reference."""

    model_config = ConfigDict(defer_build=True, extra="ignore", frozen=True)

    question: Question
    reference_answer: Answer


def answer_problems(answer: str) -> list[str]:
    """Return which rules an answer breaks: one line, one sentence, no bare integer, no real bound to a precision."""
    found = []
    bare = maths.unwrapped(answer)
    if "\n" in answer.strip() or len(sentences(bare)) > 1:
        found.append("the answer is more than one sentence")
    if _INTEGER.fullmatch(bare):
        found.append(f"the answer is a bare integer: {bare}")
    if match := _DECIMAL.search(bare) or _ROUNDED.search(bare):
        found.append(f"the answer is bound to a precision: {match[0]!r}")
    return found


def question_problems(question: str) -> list[str]:
    """Return which rules a question breaks: one question, which stands alone."""
    found = [f"the question refers to its source: {phrase!r}" for phrase in paper_references(question)[:1]]
    if question.count("?") > 1:
        found.append("more than one question is asked")
    return found


class VerifiableTask(ReferenceTask):
    """A question with one exact answer; attempts are right or wrong."""

    draft: type[BaseModel] = ScienceDraft

    def candidate(self, data: Mapping[str, Any]) -> Candidate:
        return VerifiableCandidate.model_validate({"reference_answer": data.get("answer"), **data})

    def shown(self, candidate: Candidate) -> str:
        return fence("candidate", f"Question: {candidate.question}\nAnswer: {candidate.reference_answer}")

    def criteria(self, candidate: Candidate) -> Sequence[tuple[str, int]]:
        return [(f"Equals the reference: {candidate.reference_answer}", 1)]

    def problems(self, candidate: Candidate) -> list[str]:
        return [*question_problems(candidate.question), *answer_problems(candidate.reference_answer)]

    def marks(self, candidate: Candidate) -> type[BaseModel]:
        return _mark_schema()

    def scored_by_code(self, candidate: Candidate, answer: str) -> Scored | None:
        """Compare as mathematics. Blocks for as long as that takes: call it from a thread."""
        given = final_answer(answer)
        same = maths.compare(candidate.reference_answer, given) if given else None
        if same is None:
            return None
        right = same == "equal"
        return Scored(Fraction(int(right)), (right,), (f"code finds {given} {same}",))

    def holds_answer(self, cut: str) -> bool:
        return marked_answer(cut) is not None  # one line alone may be the first of a derivation

    def vote(self, answer: str) -> tuple[str, ...]:
        return maths.answer_key(final_answer(answer) or answer)

    def require_ready(self) -> None:
        maths.require_installed()


@lru_cache(maxsize=1)
def _mark_schema() -> type[ReferenceMark]:
    """Return ReferenceMark with room for whole expressions. Quotes are not checked: one form has many spellings."""
    says = Annotated[str, Advisory(400)]
    return create_model("ReferenceMark", __base__=ReferenceMark, reference_says=(says, ...), answer_says=(says, ...))
