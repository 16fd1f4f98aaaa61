"""How a search stands between two iterations, and the rules by which it ends before its last one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.searches import iterations
from autodata.checkpoints.queries.usage import usage_of_all
from autodata.checkpoints.usage import Usage
from autodata.nodes.optimizer.settings import OptimizeConfig
from autodata.runner.optimization.archive import LedgerArchive


@dataclass(frozen=True)
class SearchStanding:
    """How a search stands between two iterations, all sessions of its folder together."""

    ended: int
    """Iterations that ended."""
    accepted: int
    """Those of them whose mutant joined the population."""
    since_lead: int
    """Iterations that ended since a mutant took the lead, or since the beginning."""
    leader: str
    """Version of the prompts that are the best by what is known."""
    leader_iteration: int
    """The iteration that made them; 0 for the baseline."""
    rate: float | None
    """Their estimated pass rate, in 0..1; None before the first trial."""
    interval: tuple[float, float] | None
    """Its 95% interval."""
    baseline_rate: float | None
    """The baseline's estimated pass rate."""
    usage: Usage = field(default_factory=Usage)
    """What all calls took."""
    seconds: float = 0.0
    """Since this session began."""


class Stopper(Protocol):
    """A rule by which a search ends: a function of how it stands, asked before each iteration.

    A search that ends by it has ended as one whose iterations are all made: its held-out test is opened.
    """

    def __call__(self, seen: SearchStanding, /) -> str:
        """Return why the search ends, or an empty text to go on."""


def no_improvement(patience: int) -> Stopper:
    """Return a rule that ends a search after so many iterations in a row without a new leader."""

    def stop(seen: SearchStanding) -> str:
        counted = f"{seen.since_lead} iteration{'' if seen.since_lead == 1 else 's'}"
        return f"no new leader in {counted}" if seen.since_lead >= patience else ""

    return stop


def target_reached(rate: float) -> Stopper:
    """Return a rule that ends a search once the leader's estimated pass rate is at least `rate`."""

    def stop(seen: SearchStanding) -> str:
        if seen.rate is None or seen.rate < rate:
            return ""
        return f"the leader's pass rate is estimated at {seen.rate:.3f}, and {rate:g} was to be reached"

    return stop


def stoppers_of(settings: OptimizeConfig) -> list[Stopper]:
    """Return the rules that the settings name: `patience` and `reach`."""
    found = [no_improvement(settings.patience)] if settings.patience else []
    return found + ([target_reached(settings.reach)] if settings.reach is not None else [])


async def standing_of(
    ledger: Reader, archive: LedgerArchive, settings: OptimizeConfig, seconds: float = 0.0
) -> SearchStanding:
    """Read how a search stands."""
    rows = [row for row in await iterations(ledger) if row["outcome"] != "open"]
    led = [at for at, row in enumerate(rows, 1) if row["record"]]
    leader, baseline = await archive.winner(settings), (await archive.members())[0].pack
    figures_of = await archive.figures_of([leader, baseline], settings)
    figures = figures_of[leader]
    low_high = figures["interval"]
    return SearchStanding(
        ended=len(rows),
        accepted=sum(row["outcome"] == "accepted" for row in rows),
        since_lead=len(rows) - (led[-1] if led else 0),
        leader=leader,
        leader_iteration=figures["iteration"],
        rate=figures["score"],
        interval=None if low_high is None else (low_high[0], low_high[1]),
        baseline_rate=figures_of[baseline]["score"],
        usage=Usage.of_row(await usage_of_all(ledger)),
        seconds=seconds,
    )
