"""A task type: what is asked for, what code checks, how marks become a score.

A task type is the one place that knows a candidate's shape; nodes know only this interface. `TaskType` holds what each
must have; what it may have besides stands in the small Protocols below it, each with a function that says what holds
where a task type says nothing.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from autodata.checkpoints.records import Candidate
from autodata.domains.tasks.judgement import Extract, LoopJudgement
from autodata.domains.tasks.questions import normalised
from autodata.domains.tasks.schemas import Screening, screening_schema


@dataclass(frozen=True)
class Scored:
    """An attempt's score with the finding on every criterion and its reason."""

    score: Fraction
    met: tuple[bool, ...]
    reasons: tuple[str, ...]


class TaskType(Protocol):
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
        """Return what the judge may see beside question and answer: `criteria` or `reference` (rule 6)."""

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
    """A task type with fixed rules for questions: one that breaks a rule goes back whatever a loop judge would say."""

    def post_filters(self, candidate: Candidate) -> Mapping[str, str]:
        """Return the rules that a candidate breaks, by name, each with what was found."""


@runtime_checkable
class Described(Protocol):
    """A task type that says itself what a loop judge sees of its criteria."""

    def judged_on(self, candidate: Candidate) -> Sequence[Mapping[str, Any]]:
        """Return each criterion: `criterion`, `weight` and, where known, `category`, `capability`, `weight_class`.

        Other keys are not shown.
        """


@runtime_checkable
class Grounded(Protocol):
    """A task type whose candidates are compared with their source, by code."""

    def missing(self, candidate: Candidate, sources: Sequence[str]) -> Missing:
        """Return what a candidate says that its sources do not: the passage or document first, then its title."""


@dataclass(frozen=True)
class Missing:
    """What a source lacks of a candidate: what fails it, and what is only noted, with its evidence."""

    problems: tuple[str, ...] = ()
    quotes: tuple[Mapping[str, str], ...] = ()
    """Quoted words that the source does not hold: `where` they stand, and the `quote`."""


@runtime_checkable
class Extracting(Protocol):
    """A task type whose extractor is asked for findings of its own, a subclass of `Extract`."""

    @property
    def extract(self) -> type[Extract]:
        """What the extractor is asked for."""


@runtime_checkable
class Screened(Protocol):
    """A task type whose screen is asked for findings of its own, a subclass of `Screening`."""

    def screening(self, n: int) -> type[Screening]:
        """Return what the screen is asked for: a finding on each of n candidates, n >= 1."""


@runtime_checkable
class Judged(Protocol):
    """A task type whose loop judge is asked for a judgement of its own, a subclass of `LoopJudgement`."""

    @property
    def judgement(self) -> type[LoopJudgement]:
        """What the loop judge is asked for."""


@runtime_checkable
class Voted(Protocol):
    """A task type that says which answers are alike, for a solver whose attempt is the majority of several samples."""

    def vote(self, answer: str) -> tuple[str, ...] | None:
        """Return what an answer counts as; None, whatever the answer, for a type of which no two answers are alike."""


@runtime_checkable
class Decided(Protocol):
    """A task type whose judge may give its verdict alone, where its prompt asks for no more."""

    def verdict(self, candidate: Candidate) -> type[BaseModel]:
        """Return what the judge is asked for then; `scored` takes it too."""


@runtime_checkable
class Needy(Protocol):
    """A task type that needs more than the package: a library, say."""

    def require_ready(self) -> None:
        """Raise UserError, before anything is spent, naming what is missing and how to install it."""


def extract_of(task_type: TaskType) -> type[Extract]:
    """Return what the extractor is asked for: `Extract`, unless the task type says otherwise."""
    return task_type.extract if isinstance(task_type, Extracting) else Extract


def screening_of(task_type: TaskType, n: int) -> type[Screening]:
    """Return what the screen of n candidates is asked for: `Screening`, unless the task type says otherwise."""
    return task_type.screening(n) if isinstance(task_type, Screened) else screening_schema(n)


def judgement_of(task_type: TaskType) -> type[LoopJudgement]:
    """Return what the loop judge is asked for: `LoopJudgement`, unless the task type says otherwise."""
    return task_type.judgement if isinstance(task_type, Judged) else LoopJudgement


def marks_of(task_type: TaskType, candidate: Candidate, *, verdict_alone: bool) -> type[BaseModel]:
    """Return what the judge is asked for: its verdict alone where that is wanted and the task type knows of it."""
    if verdict_alone and isinstance(task_type, Decided):
        return task_type.verdict(candidate)
    return task_type.marks(candidate)


def vote_of(task_type: TaskType, answer: str) -> tuple[str, ...] | None:
    """Return what an answer counts as in a majority: its words, unless the type says otherwise; None: no two count."""
    return task_type.vote(answer) if isinstance(task_type, Voted) else (normalised(answer),)


def require_task_type_ready(task_type: TaskType) -> None:
    """Raise UserError when a task type lacks what it needs, before anything is spent."""
    if isinstance(task_type, Needy):
        task_type.require_ready()


def broken_rules(task_type: TaskType, candidate: Candidate) -> Mapping[str, str]:
    """Return the fixed rules of its task type that a candidate breaks; empty for a type without such rules."""
    return task_type.post_filters(candidate) if isinstance(task_type, Ruled) else {}


def judge_criteria(task_type: TaskType, candidate: Candidate) -> Sequence[Mapping[str, Any]]:
    """Return what a loop judge sees of a candidate's criteria: text and weight, where its type says no more."""
    if isinstance(task_type, Described):
        return task_type.judged_on(candidate)
    return [{"criterion": text, "weight": weight} for text, weight in task_type.criteria(candidate)]


def missing(task_type: TaskType, candidate: Candidate, sources: Sequence[str]) -> Missing:
    """Return what a candidate says that its sources do not; nothing for a type that is not compared with them."""
    return task_type.missing(candidate, sources) if isinstance(task_type, Grounded) else Missing()


_MOVED = {"RubricTask": "rubric", "ReferenceTask": "reference"}


def __getattr__(name: str) -> Any:
    """Return a task type that stood in this module once. Users' own types import it: so the way goes upward."""
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = f"autodata.domains.tasks.{_MOVED[name]}"
    warnings.warn(f"import {name} from {home}, not from {__name__}", DeprecationWarning, stacklevel=2)
    return getattr(importlib.import_module(home), name)
