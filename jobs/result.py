"""What a job gives back: the examples, what they cost, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.chosen import read_chosen
from autodata.checkpoints.queries.usage import usage_by_role
from autodata.checkpoints.usage import Usage
from autodata.corpus.exporters.rows import read_rows
from autodata.corpus.summary import summarise
from autodata.jobs.blocking import run_blocking
from autodata.jobs.exports import export_run

Status = Literal["complete", "stopped", "failed"]
"""`complete`: every document has ended. `stopped`: documents are left, for a target or a budget was reached or a person
is asked. `failed`: documents errored, or the run could not go on."""


@dataclass(frozen=True, repr=False)
class GenerationResult:
    """The accepted examples of a run with what they cost: a sequence of them to loop over, count and index."""

    examples: list[dict[str, Any]]
    """Accepted examples, each as a line of `autodata export --format jsonl` has it, in the order of their documents.

    With a target the first distinct ones that were accepted, as many as it says; without one every one."""
    usage: Usage
    """What the calls of all sessions took, those whose reply was unusable included."""
    usage_by_role: Mapping[str, Usage]
    """The same for each role that made calls."""
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

    def export(
        self,
        out: Path | str,
        *,
        format: str | None = None,  # noqa: A002 - the option's name on the command line
        split: str | None = None,
        source: bool = False,
        answers: bool = False,
        repeats: bool = False,
        surplus: bool = False,
        licence: str = "",
        name: str = "",
    ) -> int:
        """Write the examples to a file or folder, as `autodata export` does, and return how many there were.

        `format` is a name that `autodata plugins` lists; without one a file `.jsonl` has lines, and a folder `hf`.
        `split` is such as `0.9/0.1`; `source` adds the documents' texts, `answers` every
        answer of both solvers (`jsonl` and `hf` have them always); `repeats` keeps a question that several
        documents led to as often as it was accepted, `surplus` what was accepted beyond the target; `name` and
        `licence` stand on the card.

        Raises UserError for a place that cannot be written to, an unknown format, or a result without a run folder;
        RunFailed when writing fails.
        """
        if self.run_folder is None:
            raise UserError("export needs the run folder, which was a temporary one: give out= to generate")
        folder, target = self.run_folder, Path(out).expanduser()

        async def write() -> int:
            done = await export_run(
                folder,
                target,
                format_name=format,
                shares=split,
                source=source,
                answers=answers,
                repeats=repeats,
                surplus=surplus,
                licence=licence,
                name=name,
            )
            return done.rows

        return run_blocking(write)

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
    summary, chosen = await summarise(ledger), await read_chosen(ledger)
    by_role = {row["role"]: Usage.of_row(row) for row in await usage_by_role(ledger)}
    counts = {name: summary[name] for name in ("accepted", "rejected", "skipped", "errored", "pending", "waiting")}
    status: Status = "complete"
    if failed or counts["errored"]:
        status = "failed"
    elif counts["pending"] or counts["waiting"]:
        status = "stopped"
    return GenerationResult(
        examples=[dict(row) for row in await read_rows(ledger) if chosen.results(row["id"])],
        usage=replace(sum(by_role.values(), Usage()), tokens_in=summary["tokens_in"], tokens_out=summary["tokens_out"]),
        usage_by_role=by_role,
        status=status,
        stopped=stopped,
        counts=counts,
        run_folder=run_folder,
        notes=notes,
    )
