"""`autodata export`: accepted examples into a file or folder that a trainer reads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from autodata.checkpoints.queries.chosen import read_chosen
from autodata.checkpoints.queries.documents import examples
from autodata.checkpoints.records import Example
from autodata.cli import values
from autodata.cli.terminal import RunArgument
from autodata.corpus.exporters.files import STDOUT
from autodata.corpus.exporters.registry import EXPORTERS
from autodata.jobs.exports import Exported, export_run
from autodata.jobs.run_ledger import ledger_of


def export(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", help="The file or folder to write; - for standard output.")],
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=f"One of: {', '.join(EXPORTERS)}.",
            show_default="jsonl for a file .jsonl or -, hf for a folder",
            autocompletion=values.formats,
        ),
    ] = None,
    shares: Annotated[
        str | None,
        typer.Option("--split", help="Shares of train, validation and test, of whole documents: 0.9/0.1 or 80/10/10."),
    ] = None,
    source: Annotated[bool, typer.Option("--source", help="Add the documents' texts.")] = False,
    answers: Annotated[
        bool, typer.Option("--answers", help="Add every answer of both solvers; jsonl and hf have them always.")
    ] = False,
    repeats: Annotated[
        bool,
        typer.Option("--repeats", help="Keep a question as often as documents led to it."),
    ] = False,
    surplus: Annotated[
        bool,
        typer.Option("--surplus", help="Keep what was accepted beyond the target of the run."),
    ] = False,
    licence: Annotated[str, typer.Option("--licence", help="The licence of the sources, for the card.")] = "",
    name: Annotated[
        str, typer.Option("--name", help="The title on the card.", show_default="the run folder's name")
    ] = "",
) -> None:
    """Write the accepted examples of a run to a file or folder, in the order of their documents.

    Example: autodata export runs/first --format jsonl --out examples.jsonl
    """
    done = asyncio.run(
        export_run(
            run,
            out,
            format_name=format_name,
            shares=shares,
            source=source,
            answers=answers,
            repeats=repeats,
            surplus=surplus,
            licence=licence,
            name=name,
        )
    )
    for line in _said(done, "standard output" if out == STDOUT else str(out)):
        typer.echo(line, err=True)


def _said(done: Exported, where: str) -> Iterator[str]:
    """Yield what a person must know of an export: how much was written, and what was left out."""
    what = "turn of the challenger" if done.turns else "example"
    shown = what if done.rows == 1 else what.replace("turn", "turns", 1) if done.turns else f"{what}s"
    yield f"{done.rows:,} {shown} written to {where}"
    if done.splits:
        sizes = ", ".join(f"{size:,} {name}" for name, size in done.splits.items())
        few = "" if all(done.splits.values()) else " (a document, and near duplicates, stay in one: there are too few)"
        yield f"{'turns' if done.turns else 'examples'} by split: {sizes}{few}"
    if done.judge:
        yield done.judge
    if done.unknown:
        turns = "1 turn is" if done.unknown == 1 else f"{done.unknown:,} turns are"
        yield f"{turns} left out: nothing came of what was written, or what was asked is not known"
    if done.repeated:
        what = "1 example asks" if done.repeated == 1 else f"{done.repeated:,} examples ask"
        yield f"{what} the same as an earlier one: left out (--repeats keeps them)"
    if done.surplus:
        what = "1 example" if done.surplus == 1 else f"{done.surplus:,} examples"
        yield f"{what} beyond the target of {done.target:,}: left out (--surplus keeps them)"


async def read_examples(run: Path) -> list[Example]:
    """Return the accepted examples of a run up to its target, in the order of their documents."""
    async with ledger_of(run) as ledger:
        chosen = await read_chosen(ledger)
        every = [Example.model_validate_json(text) for text in await examples(ledger, by_document=True)]
        return [one for one in every if chosen.results(one.example_id)]
