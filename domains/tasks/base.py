"""A task type: what is asked for, what code checks, how marks become a score.

A task type is the one place that knows a candidate's shape; nodes know only this interface. `Kind` holds what each must
have; what it may have besides stands in the small Protocols below it, each with a function that says what holds where a
task type says nothing.
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


@runtime_checkable
class Extracting(Protocol):
    """A kind whose extractor is asked for findings of its own, a subclass of `Extract`."""

    @property
    def extract(self) -> type[Extract]:
        """What the extractor is asked for."""


@runtime_checkable
class Screened(Protocol):
    """A kind whose screen is asked for findings of its own, a subclass of `Screening`."""

    def screening(self, n: int) -> type[Screening]:
        """Return what the screen is asked for: a finding on each of n candidates, n >= 1."""


@runtime_checkable
class Judged(Protocol):
    """A kind whose loop judge is asked for a judgement of its own, a subclass of `LoopJudgement`."""

    @property
    def judgement(self) -> type[LoopJudgement]:
        """What the loop judge is asked for."""


@runtime_checkable
class Voted(Protocol):
    """A kind that says which answers are alike, for a solver whose attempt is the majority of several samples."""

    def vote(self, answer: str) -> tuple[str, ...] | None:
        """Return what an answer counts as; None, whatever the answer, for a kind of which no two answers are alike."""


@runtime_checkable
class Needy(Protocol):
    """A kind that needs more than the package: a library, say."""

    def require_ready(self) -> None:
        """Raise UserError, before anything is spent, naming what is missing and how to install it."""


def extract_of(kind: TaskType) -> type[Extract]:
    """Return what the extractor is asked for: `Extract`, unless the kind says otherwise."""
    return kind.extract if isinstance(kind, Extracting) else Extract


def screening_of(kind: TaskType, n: int) -> type[Screening]:
    """Return what the screen of n candidates is asked for: `Screening`, unless the kind says otherwise."""
    return kind.screening(n) if isinstance(kind, Screened) else screening_schema(n)


def judgement_of(kind: TaskType) -> type[LoopJudgement]:
    """Return what the loop judge is asked for: `LoopJudgement`, unless the kind says otherwise."""
    return kind.judgement if isinstance(kind, Judged) else LoopJudgement


def vote_of(kind: TaskType, answer: str) -> tuple[str, ...] | None:
    """Return what an answer counts as in a majority: its words, unless the kind says otherwise; None: no two count."""
    return kind.vote(answer) if isinstance(kind, Voted) else (normalised(answer),)


def require_kind_ready(kind: TaskType) -> None:
    """Raise UserError when a kind lacks what it needs, before anything is spent."""
    if isinstance(kind, Needy):
        kind.require_ready()


def broken_rules(kind: TaskType, candidate: Candidate) -> Mapping[str, str]:
    """Return the fixed rules of its kind that a candidate breaks; empty for a kind without such rules."""
    return kind.post_filters(candidate) if isinstance(kind, Ruled) else {}


def judge_criteria(kind: TaskType, candidate: Candidate) -> Sequence[Mapping[str, Any]]:
    """Return what a loop judge is told of a candidate's criteria: text and weight, where its kind says no more."""
    if isinstance(kind, Told):
        return kind.told(candidate)
    return [{"criterion": text, "weight": weight} for text, weight in kind.criteria(candidate)]


def missing(kind: TaskType, candidate: Candidate, sources: Sequence[str]) -> Missing:
    """Return what a candidate says that its sources do not; nothing for a kind that is not compared with them."""
    return kind.missing(candidate, sources) if isinstance(kind, Grounded) else Missing()


_MOVED = {"RubricKind": "rubric", "ReferenceKind": "reference"}


def __getattr__(name: str) -> Any:
    """Return a kind that stood in this module once. Kinds of users' own import it; that is why the way goes upward."""
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = f"autodata.domains.tasks.{_MOVED[name]}"
    warnings.warn(f"import {name} from {home}, not from {__name__}", DeprecationWarning, stacklevel=2)
    return getattr(importlib.import_module(home), name)
