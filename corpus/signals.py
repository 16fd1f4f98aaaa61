"""Signals for the person at the dial, counted from a ledger: ceilings, cut-offs, lengths, borrowed numbers.

A share is in 0..1 and null where there was nothing to count; a score is in 0..1. Rounds go by their number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.numbers import particular_numbers, tied_to_numbers
from autodata.checkpoints.queries.figures import (
    accepted_questions,
    attempts_by_length,
    failed_by_round,
    reasons,
    truncation,
)
from autodata.checkpoints.records import FailureMode, Stage

BANDS = (50, 200, 500, 1000, 2000, 4000)
"""Bounds between bands of answers' lengths, in characters; a band holds its lower bound."""

REFUSALS: Mapping[str, str] = {
    "leakage": "leakage:",
    "question_quality": "question quality",
    "not_single": "more than one question",
    "rubric_counts": "the rubric has",
    "positive_without_reasoning": "a positive criterion",
    "negative_without_error": "a negative criterion",
    "tests_format": "a criterion tests format",
    "type_mismatch": "the question does not match",
    "refers_to_its_source": "refers to its source",
    "short_context": "the context has",
    "does_not_stand_alone": "the question points at its source",
    "dangling_pronoun": "the question has a dangling pronoun",
    "gives_its_answer_away": "the question gives its answer away",
    "unsupported": "the reference answer is not supported",
    "not_in_passage": "the reference answer is not in the passage",
    "screened_out": "screened out",
}
"""Why a quality check refuses a candidate: the kind, and how the reason in the ledger begins."""


def _refusals(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Count the kinds of reasons by failure mode; a round refused for two reasons counts in both."""
    counted: dict[str, dict[str, int]] = {mode.value: {} for mode in (FailureMode.QUALITY, FailureMode.FINAL_CHECK)}
    for row in rows:
        parts = row["reason"].split("; ")
        kinds = [kind for kind, phrase in REFUSALS.items() if any(part.startswith(phrase) for part in parts)]
        of_mode = counted[row["failure_mode"]]
        for kind in kinds or ["other"]:
            of_mode[kind] = of_mode.get(kind, 0) + 1
    return {mode: dict(sorted(kinds.items())) for mode, kinds in counted.items()}


async def signals(ledger: Reader) -> dict[str, Any]:
    """Return all signals of a run so far, by name."""
    cut = await truncation(ledger)
    rounds = await failed_by_round(ledger, FailureMode.FAILED_ON_STRONG.value)
    refused = await reasons(ledger, FailureMode.QUALITY.value, FailureMode.FINAL_CHECK.value)
    return {
        "refusals": _refusals(refused),
        "failed_on_strong": [{**row, "share": _share(row["failed"], row["closed"])} for row in rounds],
        "tied_to_numbers": await _tied(ledger),
        "attempts_by_length": _by_length(await attempts_by_length(ledger, BANDS)),
        "truncation": {"by_role": _by_role(cut), "by_round": _by_round(cut)},
    }


async def tied_examples(ledger: Reader) -> tuple[list[str], int]:
    """Return the ids of accepted examples whose question holds a number of its document, and how many were accepted."""
    questions = await accepted_questions(ledger)
    for row in questions:
        if row["tied"] is None and particular_numbers(row["question"]):  # an example of an earlier version
            row["tied"] = tied_to_numbers(row["question"], await ledger.get(f"document/{row['document_id']}"))
    return [row["example_id"] for row in questions if row["tied"]], len(questions)


async def _tied(ledger: Reader) -> dict[str, Any]:
    """Count the accepted questions that hold a number of their document."""
    tied, questions = await tied_examples(ledger)
    return {"questions": questions, "tied": len(tied), "share": _share(len(tied), questions)}


def _by_length(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    bounds = [0, *BANDS]
    return {
        _role(stage): [
            {
                "from_chars": bounds[row["band"]],
                "below_chars": BANDS[row["band"]] if row["band"] < len(BANDS) else None,
                "attempts": row["attempts"],
                "score": _share(row["score"], row["marked"]),
            }
            for row in rows
            if row["stage"] == stage
        ]
        for stage in Stage
    }


def _by_role(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        _role(stage): {**_cut_off(of_stage), "score_cut": _score(of_stage, 1), "score_whole": _score(of_stage, 0)}
        for stage in Stage
        for of_stage in [[row for row in rows if row["stage"] == stage]]
    }


def _by_round(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for stage in Stage:
        by_number: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            if row["stage"] == stage:
                by_number[row["n"]].append(row)
        found[_role(stage)] = [{"n": n, **_cut_off(of_round)} for n, of_round in by_number.items()]
    return found


def _cut_off(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    attempts, cut = 0, 0
    for row in rows:
        attempts += row["attempts"]
        cut += row["attempts"] * row["truncated"]
    return {"attempts": attempts, "cut": cut, "share": _share(cut, attempts)}


def _score(rows: Iterable[Mapping[str, Any]], truncated: int) -> float | None:
    of_kind = [row for row in rows if row["truncated"] == truncated]
    return _share(sum(row["score"] for row in of_kind), sum(row["marked"] for row in of_kind))


def _role(stage: str) -> str:
    return f"{stage}_solver"


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
