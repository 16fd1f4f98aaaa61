"""A search for better prompts, as a report tells of it: every iteration with its scores, and the leader's line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries import searches


@dataclass(frozen=True)
class Iteration:
    """One iteration. Scores are pass rates in 0..1 on the documents that a mutant and its parent shared."""

    n: int
    parent: str
    mutant: str
    outcome: str
    reason: str
    parent_score: float | None
    mutant_score: float | None
    record: bool
    """Whether it became the best so far."""


@dataclass(frozen=True)
class Version:
    """One set of prompts on the line from the baseline to the leader."""

    pack: str
    iteration: int
    summary: str
    diff: str
    """Against the baseline; empty for the baseline itself."""


@dataclass(frozen=True)
class Search:
    """A search as it stands."""

    baseline: float | None
    """The baseline's pass rate over all its validations, None before the first."""
    iterations: Sequence[Iteration]
    lineage: Sequence[Version]
    """From the baseline to the best so far, each made from the one before."""

    @property
    def outcomes(self) -> Mapping[str, int]:
        """How many iterations ended how."""
        return dict(sorted(Counter(row.outcome for row in self.iterations).items()))


async def read_search(ledger: Reader) -> Search:
    """Read a search, also one that goes on."""
    rows = await searches.iterations(ledger)
    first = await searches.baseline_pack(ledger)
    scored = await searches.scores_of_pack(ledger, first["pack"]) if first else []
    leaders = await searches.leaders(ledger)
    best = leaders[0][1] if leaders else first["pack"] if first else None
    return Search(
        baseline=_rate(scored),
        iterations=[
            Iteration(
                n=row["iteration"],
                parent=row["parent"],
                mutant=row["mutant"] or "",
                outcome=row["outcome"],
                reason=row["reason"] or "",
                parent_score=row["parent_score"],
                mutant_score=row["mutant_score"],
                record=bool(row["record"]),
            )
            for row in rows
        ],
        lineage=lineage(await searches.packs(ledger), best),
    )


def lineage(packs: Mapping[str, Mapping[str, Any]], best: str | None) -> list[Version]:
    """Return the versions from the baseline to the best, by their parents."""
    line: list[Version] = []
    while best is not None and best in packs and len(line) < len(packs):
        row = packs[best]
        line.append(Version(best, row["iteration"], row["summary"], row["diff"]))
        best = row["parent"]
    return line[::-1]


def _rate(rows: Sequence[Mapping[str, Any]]) -> float | None:
    counted = [row for row in rows if row["documents"]]
    documents = sum(row["documents"] for row in counted)
    return float(Fraction(sum(row["passed"] for row in counted), documents)) if documents else None
