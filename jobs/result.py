"""What a job gives back: the examples, what they cost, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.records import RunFailed, UserError
from autodata.corpus.export import examples_of, jsonl_row
from autodata.corpus.summary import by_role, summarise

Status = Literal["complete", "stopped", "failed"]
"""`complete`: every document has ended. `stopped`: documents are left, for a target or a budget was reached or a person
is asked. `failed`: documents errored, or the run could not go on."""


@dataclass(frozen=True)
class Usage:
    """Model calls and what they took, over all sessions of the run folder."""

    calls: int
    """Completed calls, those whose reply was unusable included."""
    tokens_in: int
    """Tokens of the prompts as the endpoints counted them; a call without a count adds 0."""
    tokens_out: int
    """The same of the replies."""
    usd: float | None
    """US dollars over the calls that carry a price; None when none does."""
    by_role: Mapping[str, Usage] = field(default_factory=dict)
    """The same for each role; empty in such a value itself."""


@dataclass(frozen=True, repr=False)
class GenerationResult:
    """The accepted examples of a run with what they cost: a sequence of them to loop over, count and index."""

    examples: list[dict[str, Any]]
    """Accepted examples, each as a line of `autodata export --format jsonl` has it, in the order of their documents."""
    usage: Usage
    """What the run cost in all its sessions."""
    status: Status
    """Whether all documents have ended."""
    stopped: str
    """Why this session ended early; empty when it did not, or when a folder was only opened."""
    counts: Mapping[str, int]
    """Documents by where they stand: accepted, rejected, skipped, errored, pending, waiting."""
    run_folder: Path | None
    """The run folder; None when it was a temporary one that is gone."""
    notes: tuple[str, ...] = ()
    """What a person should know: skipped and cut documents, errored ones with the reason, warnings."""

    def __len__(self) -> int:
        """Return how many examples there are."""
        return len(self.examples)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the examples."""
        return iter(self.examples)

    def __bool__(self) -> bool:
        """Return True: a result without examples is a result."""
        return True

    def __repr__(self) -> str:
        """Return one line: how many examples, of how many documents, how it ended, what it cost, where it is."""
        documents = sum(self.counts.values())
        cost = "" if self.usage.usd is None else f", ${self.usage.usd:,.4f}"
        why = f" ({' '.join(self.stopped.split())})" if self.stopped else ""
        where = f", {self.run_folder}" if self.run_folder else ""
        others = "".join(f", {count:,} {name}" for name, count in self.counts.items() if count and name != "accepted")
        return (
            f"<GenerationResult: {len(self):,} examples of {documents:,} documents{others}; {self.status}{why};"
            f" {self.usage.calls:,} calls{cost}{where}>"
        )

    def to_pandas(self) -> Any:
        """Return the examples as a pandas DataFrame, one row each. Raises UserError when pandas is not installed."""
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise UserError("to_pandas needs pandas: pip install pandas") from error
        return pandas.DataFrame(self.examples)

    def raise_for_status(self) -> GenerationResult:
        """Return the result itself. Raises RunFailed when the run failed: documents errored, or it could not go on."""
        if self.status == "failed":
            errored = f"{self.counts['errored']:,} documents errored" if self.counts["errored"] else ""
            last = self.notes[-1] if self.notes else "see run_folder"
            raise RunFailed(self.stopped or f"{errored}: {last}")
        return self


async def read_result(
    ledger: Reader, run_folder: Path | None, *, stopped: str = "", failed: bool = False, notes: tuple[str, ...] = ()
) -> GenerationResult:
    """Return what a run's ledger holds so far, with what only its last session knows."""
    summary = await summarise(ledger)
    counts = {name: summary[name] for name in ("accepted", "rejected", "skipped", "errored", "pending", "waiting")}
    roles = {
        row["role"]: Usage(row["calls"], row["tokens_in"] or 0, row["tokens_out"] or 0, row["cost_usd"])
        for row in await by_role(ledger)
    }
    status: Status = "complete"
    if failed or counts["errored"]:
        status = "failed"
    elif counts["pending"] or counts["waiting"]:
        status = "stopped"
    return GenerationResult(
        examples=[jsonl_row(example) for example in await examples_of(ledger)],
        usage=Usage(summary["calls"], summary["tokens_in"], summary["tokens_out"], summary["cost_usd"], roles),
        status=status,
        stopped=stopped,
        counts=counts,
        run_folder=run_folder,
        notes=notes,
    )
