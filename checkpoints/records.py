"""The records everything else speaks: documents, candidates, attempts, marks, verdicts, rounds, examples.

This module imports nothing of the package but its errors.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from autodata.checkpoints.errors import DiskFailed as DiskFailed  # noqa: PLC0414 - exported from here too
from autodata.checkpoints.errors import RunFailed as RunFailed  # noqa: PLC0414 - exported from here too
from autodata.checkpoints.errors import UserError as UserError  # noqa: PLC0414 - exported from here too

PREVIEW_CHARS = 300
"""Documents and raw answers appear in graph state only as this many leading characters and a reference."""


class Record(BaseModel):
    """Base of all records: unknown keys are refused, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def canonical_json(value: object) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, non-ASCII kept."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: object, length: int = 16) -> str:
    """Return the first `length` hex digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def normalise_text(text: str) -> str:
    """Return text in NFC with unix newlines, no trailing blanks on lines and no blank ends."""
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    return "\n".join(line.rstrip(" \t") for line in text.split("\n")).strip()


_INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0\ufffd")
"""Letters and symbols by their category that show nothing, and the sign for what could not be read."""


def is_blank(text: str) -> bool:
    """Return whether a text shows nothing: spaces, control, format and zero-width characters, marks on no letter."""
    return not any(unicodedata.category(char)[0] in "LNPS" and char not in _INVISIBLE for char in text)


_UNSAFE = re.compile(r"[\x7f-\x9f\u061c\u2028-\u202e\u2066-\u2069]")


def json_text(value: object, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """Return a value as JSON that any terminal and any splitter of lines takes: what they could act on is escaped.

    Without `indent` it is one line, whatever counts as the end of a line. Raises ValueError for NaN and infinity.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only, allow_nan=False)
    # Outside of strings JSON has none of these, and inside an escape means the same.
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def document_id(text: str) -> str:
    """Return the id of a document: 16 hex digits of the SHA-256 of its normalised text."""
    return hashlib.sha256(normalise_text(text).encode()).hexdigest()[:16]


def preview(text: str) -> str:
    """Return the first 300 characters of a text, marked when cut."""
    return text if len(text) <= PREVIEW_CHARS else text[: PREVIEW_CHARS - 1] + "…"


class Document(Record):
    """One source document. `text` is normalised; `name` is where it came from and takes no part in the id."""

    document_id: str
    name: str
    title: str
    text: str
    note: str = ""
    """What was done to the text before use, for instance that it was cut to fit the context."""


@dataclass(frozen=True)
class Skipped:
    """An input that is no usable document, with the reason."""

    name: str
    reason: str


class Candidate(BaseModel):
    """A task a challenger wrote. Subclasses add what their scorer needs; extra keys of a reply are dropped."""

    model_config = ConfigDict(extra="ignore", frozen=True)

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
    """Empty where nothing was asked for: the figure is only told."""
    passed: bool

    def __str__(self) -> str:
        """Return the comparison as it is told to people and to the challenger."""
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


class RubricFigures(Record):
    """How large a rubric is, for telling whether a later one is easier to satisfy."""

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


def round_id(thread_id: str, n: int, candidate_id: str) -> str:
    """Return the id of round `n` (1-based) of a thread with its candidate."""
    return f"{thread_id}/{n}/{candidate_id}"


def attempt_id(of_round: str, stage: Stage, index: int) -> str:
    """Return the id of the attempt `index` (0-based) of a solver within a round."""
    return f"{of_round}/{stage.value}/{index}"


class Store(Protocol):
    """Rows that last: the ledger seen from a node. `save` returns only when the rows are durable."""

    async def save(self, **tables: Sequence[Mapping[str, Any]]) -> None:
        """Upsert rows by their primary keys, all tables in one transaction."""


class Blobs(Protocol):
    """Long texts by reference: `document/<document_id>` and `answer/<attempt_id>`."""

    async def get(self, ref: str) -> str:
        """Return the text behind a reference. Raises KeyError when there is none."""

    async def documents(self) -> list[str]:
        """Return the ids of all documents that have a text, in order."""


class Journal(Protocol):
    """Every completed model call, durable before its reply is used."""

    async def find_call(self, key: str) -> Mapping[str, Any] | None:
        """Return the stored row of table `calls` with this key, or None."""

    async def save(self, **tables: Sequence[Mapping[str, Any]]) -> None:
        """Store rows of tables `calls` and `timeouts`."""
