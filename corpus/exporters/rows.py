"""What every format is made from: a run's accepted examples with their attempts, their sources and how they are split.

A row has the same keys with the same types whatever the run and the domain, so that a reader that infers types from the
first rows reads the last one too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from autodata.checkpoints.ids import digest, part_of, whole_name
from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.documents import ExampleSource, example_sources
from autodata.checkpoints.queries.meta import meta_value
from autodata.checkpoints.records import Confirmation, Example, Stage

if TYPE_CHECKING:
    from autodata.corpus.exporters.turns import TurnRow

_STRICT = ConfigDict(strict=True, extra="forbid")


@with_config(_STRICT)
class Criterion(TypedDict):
    """One criterion of a rubric. Names that a domain's rubric does not have are empty."""

    criterion: str
    weight: int
    category: str
    capability: str
    weight_class: str


@with_config(_STRICT)
class Attempted(TypedDict):
    """One attempt of one solver."""

    stage: str
    """`weak` or `strong`."""
    index: int
    answer: str
    reasoning: str
    """What the reply held besides its answer, where the model wrote its reasoning into it."""
    score: float | None
    """In 0..1; null where it was not marked."""
    truncated: bool


@with_config(_STRICT)
class Played(TypedDict):
    """Which model played a role."""

    role: str
    model: str


class ConfirmedColumns(TypedDict):
    """What a row says of fresh attempts: the columns of `ExampleRow` of these names."""

    confirmed_weak_scores: list[float]
    confirmed_strong_scores: list[float]
    confirmed_weak_mean: float | None
    confirmed_strong_mean: float | None
    confirmed_gap: float | None
    confirmed_required: bool


@with_config(_STRICT)
class ExampleRow(TypedDict):
    """An accepted example, as every format that keeps all of it has it. Scores are in 0..1."""

    id: str
    domain: str
    question: str
    context: str
    reference_answer: str
    rubric: list[Criterion]
    question_type: str
    skills: list[str]
    target_capabilities: list[str]
    passage: str
    grpo_suitability: str
    document_id: str
    document_name: str
    document_title: str
    document_sha256: str
    source: str
    """The document's text, where it was asked for."""
    chunk: int | None
    """Which part of a longer document this one is, from 1; null for a whole document, as is the next."""
    chunks: int | None
    round: int
    weak_scores: list[float]
    strong_scores: list[float]
    weak_mean: float | None
    """Null where attempts stopped early, as are the next two."""
    strong_mean: float | None
    gap: float | None
    confirmed_weak_scores: list[float]
    """Scores of fresh attempts, none of which selected the example; none in a run that does not confirm."""
    confirmed_strong_scores: list[float]
    confirmed_weak_mean: float | None
    confirmed_strong_mean: float | None
    confirmed_gap: float | None
    confirmed_required: bool
    """Whether the fresh attempts had to pass, so that their scores selected the example too."""
    attempts: list[Attempted]
    preset: str
    prompt_version: str
    lessons: list[str]
    """The versions of lessons that the challenger was shown, such as `L3.1`; none in a run without lessons."""
    models: list[Played]
    run: str
    """16 hex digits that stand for the run's configuration."""


JUDGE: Final = "verifier"
"""The role whose prompt a reward is made of."""

_ROWS: TypeAdapter[ExampleRow] = TypeAdapter(ExampleRow)


@dataclass(frozen=True)
class JudgePrompt:
    """What a run's judge is asked: chat templates with `{{context}}`, `{{question}}`, `{{criteria}}` and the like."""

    system: str = ""
    user: str = ""
    limits: Mapping[str, int] = field(default_factory=dict)
    verdict_alone: bool = False
    """Whether it is asked for its verdict alone, which may come as one word."""
    version: str = ""
    """Of the prompt as it is now."""


@dataclass(frozen=True)
class RunFacts:
    """What a format says of the run as a whole."""

    name: str = ""
    run: str = ""
    domain: str = ""
    judge: JudgePrompt = JudgePrompt()
    verifiable: bool = False
    """Whether answers are compared by code first."""
    repeated: int = 0
    """Accepted examples left out, for an earlier one asks the same over the same context."""
    surplus: int = 0
    """Distinct accepted examples left out, for they are beyond `target`."""
    target: int | None = None
    """How many distinct examples the latest session wanted; None where it wanted all."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """What `autodata status --json` prints."""
    usage: Sequence[Mapping[str, Any]] = ()
    """Calls, tokens and money by role."""
    prompts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Role -> the versions of its prompt that it was asked by."""
    licence: str = ""
    """The licence of the sources, as whoever exports gives it."""

    @property
    def judge_changed(self) -> str:
        """Say, if so, that the judge's prompt is no more the one by which the run's attempts were marked."""
        marked = self.prompts.get(JUDGE, ())
        if not self.judge.version or not marked or self.judge.version in marked:
            return ""
        return (
            f"the judge's prompt has changed since the run, which was marked by version {', '.join(marked)}: the judge"
            f" of this export is asked by version {self.judge.version}, and may score otherwise"
        )


@dataclass(frozen=True)
class ExportSet:
    """All that is exported: rows by split, in the order of their documents."""

    splits: Mapping[str, Sequence[ExampleRow]]
    facts: RunFacts = RunFacts()
    turns: Mapping[str, Sequence[TurnRow]] = field(default_factory=dict)
    """The challenger's turns by split, for a format that asks for them: see `registry.wants_turns`."""
    answers: bool = False
    """Whether rows of every format hold the solvers' answers; `jsonl` and `hf` hold them always."""

    @property
    def rows(self) -> list[ExampleRow]:
        """All rows, split by split."""
        return [row for rows in self.splits.values() for row in rows]

    def __len__(self) -> int:
        """Return how many examples there are."""
        return sum(len(rows) for rows in self.splits.values())


async def run_id(ledger: Reader) -> str:
    """Return what stands for a run's configuration: 16 hex digits of the SHA-256 of its fingerprint."""
    return digest(await meta_value(ledger, "bearing") or "")


async def read_rows(ledger: Reader, *, source: bool = False) -> list[ExampleRow]:
    """Return a run's accepted examples in the order of their documents, with the documents' texts if asked for."""
    run = await run_id(ledger)
    return [example_row(found, run=run, source=source) for found in await example_sources(ledger)]


def example_row(found: ExampleSource, *, run: str = "", source: bool = False) -> ExampleRow:
    """Return the row of an accepted example. Raises pydantic's ValidationError for one that no row can hold."""
    example, candidate = found.example, found.example.candidate
    chunk, chunks = part_of(example.document_id, found.note) or (None, None)
    row: ExampleRow = {
        "id": example.example_id,
        "domain": example.domain,
        "question": candidate["question"],
        "context": candidate.get("context") or "",
        "reference_answer": candidate.get("reference_answer") or "",
        "rubric": [_criterion(item) for item in candidate.get("rubric") or ()],
        "question_type": candidate.get("question_type") or "",
        "skills": list(candidate.get("skills") or ()),
        "target_capabilities": list(candidate.get("target_capabilities") or ()),
        "passage": example.passage,
        "grpo_suitability": example.grpo_suitability or "",
        "document_id": example.document_id,
        "document_name": example.document_name,
        "document_title": found.title,
        "document_sha256": hashlib.sha256(found.text.encode()).hexdigest() if found.text else "",
        "source": found.text if source else "",
        "chunk": chunk,
        "chunks": chunks,
        "round": example.rounds,
        "weak_scores": [float(score) for score in example.weak_scores],
        "strong_scores": [float(score) for score in example.strong_scores],
        "weak_mean": _number(example.weak_mean),
        "strong_mean": _number(example.strong_mean),
        "gap": _number(example.gap),
        **_confirmed(example.confirmed),
        "attempts": [_attempted(attempt) for attempt in found.attempts],
        "preset": example.preset,
        "prompt_version": example.prompt_version,
        "lessons": list(found.lessons),
        "models": [{"role": role, "model": model} for role, model in sorted(example.models.items())],
        "run": run,
    }
    return _ROWS.validate_python(row)


def _confirmed(found: Confirmation | None) -> ConfirmedColumns:
    return {
        "confirmed_weak_scores": [float(score) for score in found.weak_scores] if found else [],
        "confirmed_strong_scores": [float(score) for score in found.strong_scores] if found else [],
        "confirmed_weak_mean": float(found.weak_mean) if found else None,
        "confirmed_strong_mean": float(found.strong_mean) if found else None,
        "confirmed_gap": float(found.gap) if found else None,
        "confirmed_required": bool(found and found.required),
    }


def plain_row(example: Example) -> ExampleRow:
    """Return the row of an example alone: without attempts and without what only its document says."""
    return example_row(ExampleSource(example))


def prompt_text(row: ExampleRow) -> str:
    """Return what a solver is asked: the context, where there is one, and the question."""
    return f"{row['context']}\n\n{row['question']}" if row["context"] else row["question"]


def best(row: ExampleRow, stage: Stage) -> Attempted | None:
    """Return the attempt of a solver with the highest score, the first of equals; None without a marked answer."""
    marked = _marked(row, stage)
    return max(marked, key=lambda attempt: attempt["score"] or 0.0, default=None)


def worst(row: ExampleRow, stage: Stage) -> Attempted | None:
    """Return the attempt of a solver with the lowest score, the first of equals; None without a marked answer."""
    return min(_marked(row, stage), key=lambda attempt: attempt["score"] or 0.0, default=None)


def source_of(row: ExampleRow | TurnRow) -> str:
    """Return what rows of one document have in common: its name, without the number of a part of it."""
    return whole_name(row["document_name"]) or row["document_id"]


def _marked(row: ExampleRow, stage: Stage) -> list[Attempted]:
    return [
        attempt
        for attempt in row["attempts"]
        if attempt["stage"] == stage.value and attempt["score"] is not None and attempt["answer"].strip()
    ]


def _criterion(item: Mapping[str, Any]) -> Criterion:
    return {
        "criterion": item["criterion"],
        "weight": item["weight"],
        "category": item.get("category") or "",
        "capability": item.get("capability") or "",
        "weight_class": item.get("weight_class") or "",
    }


def _attempted(attempt: Mapping[str, Any]) -> Attempted:
    answer, reply = attempt["answer"], attempt["response"] or ""
    besides = reply.strip().removesuffix(answer.strip()).strip() if answer.strip() != reply.strip() else ""
    return {
        "stage": attempt["stage"],
        "index": attempt["idx"],
        "answer": answer,
        "reasoning": besides,
        "score": attempt["score_value"],
        "truncated": bool(attempt["truncated"]),
    }


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
