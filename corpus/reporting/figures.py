"""The figures of a report, counted from trajectories: the funnel, gates, points, gaps, failure modes by round."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autodata.checkpoints.records import DocumentStatus, FailureMode, Stage

Documents = Sequence[Mapping[str, Any]]

STEPS = (
    "a question was asked",
    "well-formed and new",
    "passed the quality check",
    "passed the weak gate",
    "passed the strong gate",
    "accepted",
)
"""What a round reaches, one step after the other."""

_FELL_BEHIND: Mapping[str, int] = {
    FailureMode.MALFORMED: 0,
    FailureMode.DUPLICATE: 0,
    FailureMode.QUALITY: 1,
    FailureMode.TOO_EASY: 2,
    FailureMode.DEGENERATE_WEAK: 2,
    FailureMode.FAILED_ON_STRONG: 3,
    FailureMode.SATURATED_STRONG: 3,
    FailureMode.GAP_TOO_SMALL: 3,
    FailureMode.NOT_CONFIRMED: 4,
}
"""The last step of a round by its failure mode. The other modes say no at several places: see `last_step`."""

GAP_BINS = 20
"""Columns of the histogram of gaps, which spans -1..1."""

_BOUND = re.compile(r"(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Step:
    """One step of the funnel: how many documents and how many closed rounds came so far."""

    name: str
    documents: int
    rounds: int


@dataclass(frozen=True)
class Gate:
    """A bound that a run's verdicts held a mean against."""

    name: str
    """`weak mean`, `strong mean` or `gap`."""
    sign: str
    number: float

    def __str__(self) -> str:
        """Return the gate as a verdict writes it."""
        return f"{self.name} {self.sign} {self.number:.2f}"


@dataclass(frozen=True)
class Point:
    """A closed round with the means of its solvers; `strong` is None where the strong solver was not asked."""

    document: int
    """The document's place in the run."""
    n: int
    weak: float
    strong: float | None
    accepted: bool


def closed_rounds(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rounds of a document that ended in acceptance or rejection."""
    return [row for row in document["rounds"] if row["outcome"] in {"accepted", "rejected"}]


def last_step(row: Mapping[str, Any]) -> int:
    """Return the index in `STEPS` of the last step that a closed round reached.

    A rule of code, a loop judge, a final check or a person can say no at several places: how far the round came by
    then follows from who had answered.
    """
    if row["outcome"] == "accepted":
        return len(STEPS) - 1
    if row["mode"] in _FELL_BEHIND:
        return _FELL_BEHIND[row["mode"]]
    stages = {one["stage"] for one in row["attempts"]}
    return 4 if Stage.STRONG.value in stages else 2 if stages else 1


def funnel(documents: Documents) -> list[Step]:
    """Return how many documents and closed rounds reached each step, all documents that were given first."""
    usable = [document for document in documents if document["status"] != DocumentStatus.SKIPPED]
    of_rounds = [[last_step(row) for row in closed_rounds(document)] for document in usable]
    furthest = [max(steps) for steps in of_rounds if steps]
    every = [step for steps in of_rounds for step in steps]
    return [
        Step("documents given", len(documents), 0),
        Step("documents that can be used", len(usable), 0),
        *(
            Step(name, sum(step >= n for step in furthest), sum(step >= n for step in every))
            for n, name in enumerate(STEPS)
        ),
    ]


def gates(documents: Documents) -> list[Gate]:
    """Return the bounds on means and on the gap that the run's verdicts name, in their order."""
    found: dict[Gate, None] = {}
    for _, row in _rounds(documents):
        for verdict in row["verdicts"]:
            for name, _, bound, _ in verdict["checks"]:
                if name in {"weak mean", "strong mean", "gap"}:
                    found |= {Gate(name, sign, float(number)): None for sign, number in _BOUND.findall(bound)}
    return list(found)


def points(documents: Documents) -> list[Point]:
    """Return the closed rounds whose weak solver has a mean."""
    return [
        Point(place, row["n"], row["weak"], row["strong"], row["outcome"] == "accepted")
        for place, document in enumerate(documents)
        for row in closed_rounds(document)
        if row["weak"] is not None
    ]


def gap_histogram(documents: Documents) -> list[tuple[int, int]]:
    """Return (accepted, rejected) closed rounds in `GAP_BINS` equal bins of the gap from -1 to 1."""
    bins = [[0, 0] for _ in range(GAP_BINS)]
    for _, row in _rounds(documents):
        if row["gap"] is not None:
            place = min(GAP_BINS - 1, max(0, int((row["gap"] + 1) / 2 * GAP_BINS)))
            bins[place][row["outcome"] != "accepted"] += 1
    return [(accepted, rejected) for accepted, rejected in bins]


@dataclass(frozen=True)
class RoundColumn:
    """What became of the rounds of one number."""

    n: int
    closed: int
    accepted: int
    modes: Mapping[str, int]
    """Rejected rounds by failure mode, zeros left out."""
    weak: float | None
    """Mean of the weak means, as is the next."""
    strong: float | None


def by_round(documents: Documents) -> list[RoundColumn]:
    """Return what became of the first rounds, of the second ones, and so on."""
    columns: dict[int, list[Mapping[str, Any]]] = {}
    for _, row in _rounds(documents):
        columns.setdefault(row["n"], []).append(row)
    return [
        RoundColumn(
            n=n,
            closed=len(rows),
            accepted=sum(row["outcome"] == "accepted" for row in rows),
            modes=dict(Counter(row["mode"] or "other" for row in rows if row["outcome"] == "rejected")),
            weak=_mean([row["weak"] for row in rows]),
            strong=_mean([row["strong"] for row in rows]),
        )
        for n, rows in sorted(columns.items())
    ]


def modes_in_order(columns: Sequence[RoundColumn]) -> list[str]:
    """Return the failure modes that occurred, in the order of their enumeration."""
    seen = {mode for column in columns for mode in column.modes}
    known = [mode.value for mode in FailureMode if mode.value in seen]
    return [*known, *sorted(seen - set(known))]


def _rounds(documents: Documents) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for document in documents:
        for row in closed_rounds(document):
            yield document, row


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
