"""A search for better prompts, as a report tells of it: every iteration with its scores, and the leader's line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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
class PackScore:
    """A set of prompts that was validated, with its pass rate as estimated now, in 0..1."""

    pack: str
    iteration: int
    """The iteration that made it; 0 for the baseline."""
    parents: tuple[str, ...]
    """The packs that it was made from: none of the baseline, two where they were merged."""
    score: float
    low: float | None
    """The lower end of the 95% interval."""
    high: float | None
    member: bool
    """Whether it joined the population."""
    winner: bool
    """Whether it is the best by what is known."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self) | {"parents": list(self.parents)}

    def __str__(self) -> str:
        """Return the rate with its interval, three digits each."""
        between = "" if self.low is None or self.high is None else f" ({self.low:.3f} to {self.high:.3f})"
        return f"{self.score:.3f}{between}"


@dataclass(frozen=True)
class Search:
    """A search as it stands."""

    packs: Sequence[PackScore]
    """In the order of iterations, the baseline first; parents before their children."""
    iterations: Sequence[Iteration]
    lineage: Sequence[Version]
    """From the baseline to the best so far, each made from the one before."""

    @property
    def outcomes(self) -> Mapping[str, int]:
        """How many iterations ended how."""
        return dict(sorted(Counter(row.outcome for row in self.iterations).items()))

    def score_of(self, pack: str) -> str:
        """Return a pack's rate with its interval, empty for one that was not validated."""
        return next((str(one) for one in self.packs if one.pack == pack), "")


async def read_search(ledger: Reader, packs: Sequence[PackScore] = ()) -> Search:
    """Read a search, also one that goes on. `packs` are those that were validated, with their rates."""
    rows = await searches.iterations(ledger)
    return Search(
        packs=packs,
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
        lineage=lineage(await searches.packs(ledger), await _best(ledger, packs)),
    )


async def _best(ledger: Reader, packs: Sequence[PackScore]) -> str | None:
    """Return the pack that is the best so far: by its rate, or else the one that took the lead last."""
    if won := [one.pack for one in packs if one.winner]:
        return won[0]
    first, leaders = await searches.baseline_pack(ledger), await searches.leaders(ledger)
    if leaders:
        return leaders[0][1]
    return first["pack"] if first else None


def lineage(packs: Mapping[str, Mapping[str, Any]], best: str | None) -> list[Version]:
    """Return the versions from the baseline to the best, by their parents."""
    line: list[Version] = []
    while best is not None and best in packs and len(line) < len(packs):
        row = packs[best]
        line.append(Version(best, row["iteration"], row["summary"], row["diff"]))
        best = row["parent"]
    return line[::-1]
