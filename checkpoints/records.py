"""The records everything else speaks: documents, candidates, attempts, marks, verdicts, rounds, examples."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from autodata.checkpoints.ids import digest


class Record(BaseModel):
    """Base of all records: unknown keys are refused, values are immutable."""

    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True)


class Document(Record):
    """One source document. `text` is normalised; `name` is where it came from and takes no part in the id."""

    document_id: str
    name: str
    title: str
    text: str
    note: str = ""
    """What was done to the text before use, for instance that it was cut to fit the context."""
    source: str = ""
    """What it is known by when its text has changed: its file, address or record. Empty when nothing identifies it."""
    layout: Literal["prose", "code"] = "prose"
    """What it is made of, where it is too long for a context: paragraphs under headings, or definitions."""


@dataclass(frozen=True)
class Skipped:
    """An input that is no usable document, with the reason."""

    name: str
    reason: str

    @property
    def document_id(self) -> str:
        """What stands for a document's id in the ledger: the same for the same name and reason."""
        return f"skipped-{digest([self.name, self.reason])}"


class Candidate(BaseModel):
    """A task a challenger wrote. Subclasses add what their scorer needs; extra keys of a reply are dropped."""

    model_config = ConfigDict(defer_build=True, extra="ignore", frozen=True)

    question: str = Field(min_length=1, max_length=4000)
    reference_answer: str = Field(default="", max_length=4000)
    """Empty in a domain that has none."""
    context: str = Field(default="", max_length=6000)

    @property
    def candidate_id(self) -> str:
        """The id of exactly this content: 16 hex digits of the SHA-256 of its canonical JSON."""
        return digest(self.model_dump(mode="json"))


class Stage(StrEnum):
    """Which solver an attempt, a gate or a mean belongs to."""

    WEAK = "weak"
    STRONG = "strong"


class Mark(Record):
    """What the Verifier (or code) found in one attempt. `score` is exact, in 0..1."""

    attempt_id: str
    score: Fraction = Field(ge=0, le=1)
    met: tuple[bool, ...] = ()
    """One entry per criterion of the candidate, in order; empty when no criterion was looked at."""
    decided_by: Literal["judge", "code", "truncated", "probe"] = "judge"
    """Who decided. `probe`: the answer was empty, and the endpoint was seen to answer something else."""

    @property
    def right(self) -> bool:
        """Whether the attempt counts as right where right and wrong are counted: more than half of the score."""
        return self.score > Fraction(1, 2)


class Attempt(Record):
    """One rollout of one solver. The answer itself lies in the ledger under `answer_ref`."""

    attempt_id: str
    candidate_id: str
    stage: Stage
    index: int = Field(ge=0)
    answer_ref: str
    preview: str
    chars: int = Field(ge=0)
    truncated: bool = False
    """Cut off by the token limit."""
    answered: bool = True
    """False when the cut came before a final answer, or nothing but reasoning came."""
    mark: Mark | None = None


class Check(Record):
    """One comparison behind a verdict, with its numbers, so that a person can read why."""

    name: str
    value: str
    bound: str
    """Empty where nothing was asked for: the figure is only shown."""
    passed: bool

    def __str__(self) -> str:
        """Return the comparison as it is shown to people and to the challenger."""
        return f"{self.name} {self.value}" + (f", needed {self.bound}" if self.bound else "")


class Decision(StrEnum):
    """What an acceptance policy answers."""

    MORE = "more"
    """Attempts are missing before the stage can be judged."""
    STRONG = "strong"
    """The weak gate passed: the strong solver may run."""
    JUDGE = "judge"
    """All attempts are marked: a loop judge reads the pattern (paper, section 4)."""
    ACCEPT = "accept"
    REJECT = "reject"


class FailureMode(StrEnum):
    """Why a round did not end in acceptance."""

    MALFORMED = "malformed_candidate"
    DUPLICATE = "duplicate_question"
    QUALITY = "failed_quality_check"
    TOO_EASY = "too_easy"
    DEGENERATE_WEAK = "degenerate_weak"
    FAILED_ON_STRONG = "failed_on_strong"
    SATURATED_STRONG = "saturated_strong"
    GAP_TOO_SMALL = "gap_too_small"
    POST_FILTER = "post_filter"
    """Layer 1 of the legal loop: code forces another round."""
    SENT_BACK = "sent_back_by_judge"
    """Layer 2 of the legal loop: the loop judge asks for another round."""
    FINAL_CHECK = "final_check"
    REVIEWER = "rejected_by_reviewer"
    """All gates passed, but a person said no."""
    NOT_CONFIRMED = "not_confirmed"
    """All gates passed, but fresh attempts did not bear it out."""


class Verdict(Record):
    """An acceptance policy's answer with every check it made. Means are None where attempts were curtailed."""

    candidate_id: str
    preset: str
    stage: Stage
    decision: Decision
    failure_mode: FailureMode | None = None
    checks: tuple[Check, ...] = ()
    weak_mean: Fraction | None = None
    strong_mean: Fraction | None = None
    gap: Fraction | None = None
    summary: str = ""


class Confirmation(Record):
    """What fresh attempts at a candidate scored, of which none took part in its selection. Scores are in 0..1."""

    candidate_id: str
    weak_scores: tuple[Fraction, ...] = Field(min_length=1)
    strong_scores: tuple[Fraction, ...] = Field(min_length=1)
    weak_mean: Fraction
    strong_mean: Fraction
    gap: Fraction
    """Strong mean - weak mean, in -1..1."""
    required: bool = False
    """Whether the candidate counts only if these scores pass."""
    passed: bool = True
    """Whether they do, where they must."""
    checks: tuple[Check, ...] = ()
    """Every comparison that was required."""


class RubricFigures(Record):
    """How large a rubric is, to know whether a later one is easier to satisfy."""

    items: int = Field(ge=0)
    positive_items: int = Field(ge=0)
    positive_total: int = Field(ge=0)
    """All positive weights together."""

    @property
    def positive_mean(self) -> Fraction:
        """The mean positive weight; 0 without any."""
        return Fraction(self.positive_total, self.positive_items or 1)


class Round(Record):
    """One closed round, small enough to travel in graph state."""

    n: int = Field(ge=1)
    round_id: str
    candidate_id: str
    question: str
    """The question's first 300 characters."""
    question_key: str = ""
    """Hash of the whole question, normalised, by which a repeated one is known."""
    failure_mode: FailureMode | None = None
    reason: str = ""
    weak_mean: Fraction | None = None
    strong_mean: Fraction | None = None
    gap: Fraction | None = None
    rubric: RubricFigures | None = None
    """Kept where a loop judge compares the rubrics of rounds."""
    reviewer: str = ""
    """What a person said of a round that code had rejected already, at most 300 characters."""


class DocumentStatus(StrEnum):
    """Where a document stands. All but `pending`, `waiting` and `errored` are final."""

    PENDING = "pending"
    WAITING = "waiting"
    """A person has been asked about its candidate."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    ERRORED = "errored"
    DROPPED = "dropped"
    """Left out of exports and counts by a person, with its example."""


class Example(Record):
    """An accepted example, whole: everything a trainer needs and where it came from."""

    example_id: str
    document_id: str
    document_name: str
    domain: str
    candidate_id: str
    candidate: dict[str, Any]
    passage: str = ""
    """The part of the document the question was written from, when a domain picks one."""
    rounds: int = Field(ge=1)
    weak_scores: tuple[Fraction, ...]
    strong_scores: tuple[Fraction, ...]
    weak_mean: Fraction | None
    strong_mean: Fraction | None
    gap: Fraction | None
    preset: str
    checks: tuple[Check, ...]
    prompt_version: str
    models: dict[str, str]
    grpo_suitability: Literal["high", "medium", "low"] | None = None
    """How much a trainer can learn from it, as the loop judge sees it, where a domain has one."""
    judgement: dict[str, Any] | None = None
    """What the loop judge found, whole."""
    # Left out where there is none, so that an example of any other run is written as it was before there were any.
    confirmed: Confirmation | None = Field(default=None, exclude_if=lambda found: found is None)
    """What fresh attempts scored, in a run that confirms its examples."""
