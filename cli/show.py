"""`autodata show`: the documents of a run, or one document's rounds as a person would read them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.queries.chosen import read_chosen, read_target
from autodata.checkpoints.queries.documents import documents_with_examples
from autodata.checkpoints.queries.figures import failures_by_document, numbers
from autodata.checkpoints.queries.whole import document_with_rounds
from autodata.checkpoints.records import DocumentStatus, FailureMode
from autodata.cli import values
from autodata.cli.figures import figure, repeated_questions
from autodata.cli.rounds import show_rounds
from autodata.cli.terminal import AsJson, DocumentArgument, OneRound, RunArgument, console, print_json
from autodata.jobs.printable import printable
from autodata.jobs.run_ledger import ledger_of

NEAR = 5
"""How many documents an error names."""
SHORT_ID = 8
"""Least number of an id's characters in a list."""


def show(
    run: RunArgument,
    document: DocumentArgument = None,
    only: OneRound = None,
    full: Annotated[bool, typer.Option("--full", help="Cut no long text.")] = False,
    accepted: Annotated[bool, typer.Option("--accepted", help="List accepted documents.")] = False,
    rejected: Annotated[bool, typer.Option("--rejected", help="List rejected documents.")] = False,
    errored: Annotated[bool, typer.Option("--errored", help="List errored documents.")] = False,
    dropped: Annotated[bool, typer.Option("--dropped", help="List dropped documents.")] = False,
    mode: Annotated[
        str | None,
        typer.Option(
            help="List documents of which a round failed so, for instance too_easy.", autocompletion=values.failures
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="List so many at most.", min=1)] = None,
    as_json: AsJson = False,
) -> None:
    """List the documents of a run, or show one document: questions, attempts with their marks, verdicts, feedback.

    Several of --accepted, --rejected, --errored and --dropped list what is one of them; --mode narrows it down.

    Example: autodata show runs/first concrete-curing.md --round 2
    """
    flags = {"accepted": accepted, "rejected": rejected, "errored": errored, "dropped": dropped}
    statuses = frozenset(status for status, chosen in flags.items() if chosen)
    if document is not None and (statuses or mode or limit):
        raise UserError("--accepted, --rejected, --errored, --dropped, --mode and --limit go with the list of all")
    found = asyncio.run(_read(run, document, _mode(mode)))
    if isinstance(found, Listing):
        chosen = [row for row in found.rows if not statuses or row["status"] in statuses]
        rows = [_listed(row, found.surplus) for row in chosen[:limit]]
        if as_json:
            print_json([{**row, "same_question_as": found.same_question_as(row["name"])} for row in rows])
        else:
            _show_list(console(), rows, left_out=len(chosen) - len(rows), shared=found.shared)
        return
    if only is not None and only not in (numbers := [row["n"] for row in found["rounds"]]):
        known = f"its rounds are 1 to {max(numbers)}" if numbers else "it has none yet"
        raise UserError(f"{found['name']} has no round {only}: {known}")
    if as_json:
        rounds = [row for row in found["rounds"] if only in {None, row["n"]}]
        print_json({**found, "rounds": rounds})
    else:
        show_rounds(console(), found, only=only, full=full)


@dataclass(frozen=True)
class Listing:
    """The documents of a list, and the questions that were accepted for several documents."""

    rows: list[dict[str, Any]]
    shared: list[dict[str, Any]]
    surplus: Collection[str] = ()
    """The ids of the examples beyond the run's target."""

    def same_question_as(self, name: str) -> list[str]:
        """Return the names of the other documents that the question of this one was accepted for."""
        return [one for row in self.shared if name in row["documents"] for one in row["documents"] if one != name]


def _mode(name: str | None) -> str | None:
    """Return a failure mode, which may be typed with hyphens or blanks. Raises UserError for none."""
    if name is None:
        return None
    mode = name.strip().lower().replace("-", "_").replace(" ", "_")
    if mode not in [*FailureMode]:
        near = get_close_matches(mode, [*FailureMode], 1, 0.4)
        meant = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"--mode {name}: {meant}use one of {', '.join(FailureMode)}")
    return mode


async def _read(run: Path, wanted: str | None, mode: str | None) -> Listing | dict[str, Any]:
    async with ledger_of(run) as ledger:
        rows = await documents_with_examples(ledger)
        if wanted is None:
            if mode is not None:
                counted = await failures_by_document(ledger)
                failed = {row["document_id"] for row in counted if row["failure_mode"] == mode}
                rows = [row for row in rows if row["document_id"] in failed]
            shared = json.loads((await numbers(ledger))["shared_questions"])
            return Listing(rows, shared, (await read_chosen(ledger)).surplus if await read_target(ledger) else ())
        row = {name: value for name, value in find_document(rows, wanted, run).items() if name != "example"}
        return await document_with_rounds(ledger, row)


def find_document(
    rows: Sequence[Mapping[str, Any]], wanted: str, run: Path, listing: str = "autodata show"
) -> Mapping[str, Any]:
    """Return the one document that `wanted` names: an id, a name with or without folder or suffix, or a beginning.

    Raises UserError naming those it could mean, or names that are near; `listing` is the command that lists all.
    """

    def names(row: Mapping[str, Any]) -> set[str]:
        path = PurePosixPath(row["name"])
        return {row["name"], path.name, path.stem}

    tests = (
        lambda row: wanted == row["document_id"],
        lambda row: wanted == row["name"],
        lambda row: wanted in names(row),
        lambda row: row["document_id"].startswith(wanted),
        lambda row: any(name.startswith(wanted) for name in names(row)),
    )
    for fits in tests:
        found = [row for row in rows if fits(row)]
        if len(found) == 1:
            return found[0]
        if found and wanted:
            listed = ", ".join(f"{row['name']} ({row['document_id']})" for row in found[:NEAR])
            more = f" and {len(found) - NEAR} more" if len(found) > NEAR else ""
            raise UserError(f"{wanted!r} could be {len(found)} documents: {listed}{more}: name one by its id")
    by_name = {name: row["name"] for row in rows for name in names(row)}
    near = dict.fromkeys(by_name[name] for name in get_close_matches(wanted, by_name, NEAR, 0.4))
    hint = f"near are {', '.join(near)}" if near else "none is near"
    raise UserError(f"{run} has no document {wanted!r}: {hint}; list all with '{listing} {run}'")


def _listed(row: Mapping[str, Any], surplus: Collection[str]) -> dict[str, Any]:
    """Return a document as the list shows it. Means are null where attempts were curtailed; scores are in 0..1."""
    example = json.loads(row["example"]) if row["example"] else {}
    listed = {name: row[name] for name in ("document_id", "name", "status", "status_reason", "note", "rounds")}
    listed["surplus"] = example.get("example_id") in surplus
    for name in ("weak_mean", "strong_mean", "gap"):
        listed[name] = _number(example.get(name))
    for name in ("weak_scores", "strong_scores"):
        listed[name] = [_number(score) for score in example.get(name, ())]
    return listed


def _show_list(
    out: Console, rows: Sequence[Mapping[str, Any]], *, left_out: int, shared: Sequence[Mapping[str, Any]]
) -> None:
    if not rows:
        out.print("no document is so")
        return
    out.print(_table(rows))
    if left_out:
        out.print(f"and {left_out:,} more: give a larger --limit")
    if shared:
        out.print(repeated_questions(shared), soft_wrap=True)


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    caption = "weak, strong: mean score of the accepted round, or how many were right where attempts stopped early"
    table = Table(box=box.SIMPLE_HEAD, caption=caption, caption_justify="left")
    table.add_column("id", no_wrap=True)
    table.add_column("document", overflow="fold")
    table.add_column("status")
    for name in ("rounds", "weak", "strong"):
        table.add_column(name, justify="right")
    tones = {"accepted": "green", "rejected": "yellow", "errored": "red"}
    short = _short_ids(rows)
    for row in rows:
        named = Text(printable(row["name"]))
        beyond = "beyond the target: exported with --surplus" if row["surplus"] else ""
        for reason in (row["status_reason"], row["note"], beyond):
            if reason:
                named.append(f"\n  {printable(reason)}", style="dim")
        means = [_shown(row, stage) for stage in ("weak", "strong")]
        status = Text(row["status"], style=tones.get(row["status"], "dim"))
        table.add_row(short.get(row["document_id"], ""), named, status, str(row["rounds"]), *means)
    return table


def _short_ids(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the beginnings of ids that distinguish the documents. An input that was skipped has a name only."""
    ids = [row["document_id"] for row in rows if row["status"] != DocumentStatus.SKIPPED]
    length = next(n for n in range(SHORT_ID, 65) if len({identity[:n] for identity in ids}) == len(ids))
    return {identity: identity[:length] for identity in ids}


def _shown(row: Mapping[str, Any], stage: str) -> str:
    """Return a mean, or where attempts were curtailed how many of those made were right."""
    mean, scores = row[f"{stage}_mean"], row[f"{stage}_scores"]
    if mean is None and scores:
        return f"{sum(score > 0.5 for score in scores)} of {len(scores)}"
    return figure(mean)


def _number(value: str | None) -> float | None:
    return None if value is None else float(Fraction(value))
