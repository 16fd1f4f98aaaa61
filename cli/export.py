"""`autodata export`: accepted examples into a file that a trainer reads."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from autodata.checkpoints.queries.documents import examples
from autodata.checkpoints.records import Example
from autodata.cli.terminal import RunArgument
from autodata.corpus.exporters.files import STDOUT
from autodata.corpus.exporters.registry import EXPORTERS
from autodata.jobs.run_ledger import ledger_of


def export(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", help="The file to write; - for standard output.")],
    format_name: Annotated[str, typer.Option("--format", help=f"One of: {', '.join(EXPORTERS)}.")] = "jsonl",
) -> None:
    """Write the accepted examples of a run to a file, in the order of their documents.

    Example: autodata export runs/first --format jsonl --out examples.jsonl
    """
    exporter = EXPORTERS.find(format_name, "--format")
    count = exporter(asyncio.run(read_examples(run)), out)
    where = "standard output" if out == STDOUT else str(out)
    typer.echo(f"{count:,} example{'' if count == 1 else 's'} written to {where}", err=True)


async def read_examples(run: Path) -> list[Example]:
    """Return the accepted examples of a run, in the order of their documents."""
    async with ledger_of(run) as ledger:
        return [Example.model_validate_json(text) for text in await examples(ledger, by_document=True)]
