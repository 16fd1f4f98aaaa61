"""What a search for better prompts gives back: the winner with its rate, what it cost, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autodata.checkpoints.errors import RunFailed
from autodata.checkpoints.usage import Usage
from autodata.jobs.result import Status
from autodata.jobs.search_report import SearchReport, parsed
from autodata.prompts import PromptPack
from autodata.prompts.pack import parse_prompt
from autodata.prompts.patch import write_pack
from autodata.runner.outcome import Outcome


@dataclass(frozen=True, repr=False)
class OptimizeResult:
    """The best prompts that a search has found, and how it stands."""

    prompts: Mapping[str, str]
    """Them by role, each a whole prompt file."""
    version: str
    """Their version."""
    iteration: int
    """The iteration that made them; 0 while nothing is better than the baseline."""
    rate: float | None
    """Their estimated pass rate, in 0..1; None before the first trial."""
    interval: tuple[float, float] | None
    """Its 95% interval."""
    baseline_rate: float | None
    """The baseline's estimated pass rate."""
    test: Sequence[Mapping[str, Any]]
    """The held-out test of baseline and winner: pack, passed, documents, rate, interval; empty before it is opened."""
    iterations: Sequence[Mapping[str, Any]]
    """Every iteration: parent, mutant, outcome, reason, scores, analysis, edits."""
    status: Status
    """`complete`: all iterations are made, or a stopper ended the search. `stopped`: iterations are left, for a budget
    is spent or a stop file is there. `failed`: it could not go on."""
    stopped: str
    """Why the search stopped, or ended before its last iteration; empty where neither."""
    usage: Usage
    """What the calls of all sessions took."""
    usage_by_role: Mapping[str, Usage]
    run_folder: Path
    notes: tuple[str, ...] = ()
    """What a person should know."""

    def __repr__(self) -> str:
        """Return one line: how it ended, the winner's rate, what it cost, where it is."""
        ended = sum(row["outcome"] != "open" for row in self.iterations)
        why = f" ({' '.join(self.stopped.split())})" if self.stopped else ""
        found = f"iteration {self.iteration}" if self.iteration else "the baseline"
        rate = "" if self.rate is None else f" at {self.rate:.3f}"
        return (
            f"<OptimizeResult: {ended:,} iterations; {self.status}{why}; best is {found}{rate};"
            f" {self.usage.calls:,} calls, {self.run_folder}>"
        )

    def export(self, out: Path | str) -> Path:
        """Write the prompts into a folder, one file a role, as `autodata optimize export` does; return the folder.

        Nothing is overwritten. Raises UserError where a file of that name is there.
        """
        folder = Path(out).expanduser()
        prompts = {role: parse_prompt(role, text, f"{role}.md") for role, text in self.prompts.items()}
        write_pack(PromptPack(folder.name, prompts), folder)
        return folder

    def raise_for_status(self) -> OptimizeResult:
        """Return the result itself. Raises RunFailed when the search could not go on."""
        if self.status == "failed":
            raise RunFailed(self.stopped or "the search failed: see notes")
        return self


def result_of(report: SearchReport, folder: Path, outcome: Outcome | None = None) -> OptimizeResult:
    """Return what a search found; `outcome` is how its last session ended, None where a folder was only opened."""
    summary, winner = report.summary, report.summary["winner"]
    low_high = winner["interval"]
    left = summary["iterations_ended"] < summary["iterations"]
    ended = outcome is not None and bool(outcome.ended)
    status: Status = "stopped" if (left and not ended) or (outcome and outcome.stopped) else "complete"
    if outcome is not None and outcome.failed:
        status = "failed"
    by_role = {row["role"]: Usage.of_row(row) for row in summary["roles"]}
    return OptimizeResult(
        prompts={role: prompt.text for role, prompt in report.winner_pack.prompts.items()},
        version=winner["pack"],
        iteration=winner["iteration"],
        rate=winner["score"],
        interval=None if low_high is None else (low_high[0], low_high[1]),
        baseline_rate=summary["baseline"]["score"],
        test=summary["test"],
        iterations=[parsed(row) for row in report.iterations],
        status=status,
        stopped=(outcome.stopped or outcome.ended) if outcome else "",
        usage=Usage.of_row(summary),
        usage_by_role=by_role,
        run_folder=folder,
        notes=(*outcome.notes, *(f"errored: {line}" for line in outcome.errored)) if outcome else (),
    )
